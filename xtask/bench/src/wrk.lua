-- Sends events of which no two are the same, each rightly signed. What differs was computed before (see
-- xtask/bench/src/wrk.rs); a request is assembled from the template and its row. The rows are mapped, not read, because
-- LuaJIT has little memory of its own.
--
-- Arguments: folder, first row, how many rows, how many threads.

local ffi = require("ffi")
ffi.cdef([[
int open(const char *path, int flags, ...);
void *mmap(void *address, size_t length, int protection, int flags, int file, long offset);
]])

local ID, SIGNATURE = 32, 64
local ROW = ID + SIGNATURE
local PROT_READ, MAP_PRIVATE = 1, 2

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local rows, first, count, step, sent
local text, length, signed, places

function init(args)
  local folder = args[1]
  first, count, step = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  -- The threads take turns: of two, one has the even rows and the other the odd ones.
  sent = number
  local file = ffi.C.open(folder .. "/rows", 0)
  assert(file >= 0, "cannot open the rows")
  local bytes = (first + count) * ROW
  local mapped = ffi.C.mmap(nil, bytes, PROT_READ, MAP_PRIVATE, file, 0)
  assert(ffi.cast("intptr_t", mapped) ~= -1, "cannot map the rows")
  rows = ffi.cast("const char *", mapped)
  local template = read(folder .. "/template")
  length = #template
  text = ffi.new("char[?]", length)
  ffi.copy(text, template, length)
  -- The template has the id and the signature of row 0.
  signed = template:find(ffi.string(rows + ID, SIGNATURE), 1, true) - 1
  local id = ffi.string(rows, ID)
  places = {}
  local place = template:find(id, 1, true)
  while place do
    places[#places + 1] = place - 1
    place = template:find(id, place + ID, true)
  end
end

function request()
  local row = rows + (first + sent % count) * ROW
  sent = sent + step
  ffi.copy(text + signed, row + ID, SIGNATURE)
  for place = 1, #places do
    ffi.copy(text + places[place], row, ID)
  end
  return ffi.string(text, length)
end

function done(summary, latency, requests)
  local errors = summary.errors
  local seconds = summary.duration / 1e6
  io.write(string.format(
    '{"requests":%d,"per_second":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.requests / math.max(seconds, 1e-6), latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
