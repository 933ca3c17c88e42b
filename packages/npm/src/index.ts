export {
  callbackId,
  EVENT_TYPES,
  failureMessage,
  isKnown,
  mediaKind,
  mediaUrl,
  outcome,
  parse,
  subjectId,
  type AnyEvent,
  type EventType,
  type MediaKind,
  type Outcome,
  type UnknownEvent,
} from "./events.js";
export { receiver, type Receiver, type Rejection } from "./receiver.js";
export {
  diagnose,
  verify,
  VerifyError,
  type Diagnosis,
  type DiagnosisLabel,
  type Match,
  type RawBody,
  type Reason,
  type RequestHeaders,
  type Secrets,
} from "./signature.js";
export type * from "./types.js";
