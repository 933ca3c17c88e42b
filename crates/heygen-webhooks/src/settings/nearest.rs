//! The name that was probably meant.

/// The one of `known` that is nearest to `given`, and how many letters apart it is; in either, `*` stands for any run of letters.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<(&'a str, usize)> {
    known
        .into_iter()
        .map(|name| (name, distance(given, name)))
        .min_by_key(|(_, distance)| *distance)
}

/// As [`nearest`], where it is so near that it was mistyped.
pub(crate) fn mistyped<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let letters = given.chars().filter(|letter| *letter != '*').count();
    let (name, distance) = nearest(given, known)?;
    (distance > 0 && distance <= (letters / 3).min(2)).then_some(name)
}

/// The option that was meant: another program's name for it, one that was mistyped, or the only one that begins with these words.
pub(crate) fn meant<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    let names = || known.iter().copied();
    let same = ELSEWHERE.iter().find(|(other, _)| *other == given);
    let same = same.and_then(|(_, ours)| names().find(|name| name == ours));
    let mistyped = || mistyped(given, names());
    let begun = || {
        let rest = |name: &str| Some(name.strip_prefix(given)?.starts_with('-'));
        let mut longer = names().filter(|name| rest(name) == Some(true));
        longer.next().filter(|_| longer.next().is_none())
    };
    same.or_else(mistyped).or_else(begun)
}

/// What other programs call our options.
const ELSEWHERE: [(&str, &str); 13] = [
    ("addr", "listen"),
    ("address", "listen"),
    ("bind", "listen"),
    ("colour", "color"),
    ("database", "inbox"),
    ("db", "inbox"),
    ("event", "event-type"),
    ("forward-to", "forward"),
    ("host", "listen"),
    ("port", "listen"),
    ("secrets", "secret-file"),
    ("type", "event-type"),
    ("verbose", "log"),
];

/// How many letters have to be put in, left out, replaced, or exchanged with their neighbour.
fn distance(given: &str, known: &str) -> usize {
    let given: Vec<char> = given.chars().take(LONGEST).collect();
    let known: Vec<char> = known.chars().take(LONGEST).collect();
    // A row for each beginning of `given`, a column for each beginning of `known`.
    let mut rows: Vec<Vec<usize>> = vec![(0..=known.len()).collect()];
    for (i, letter) in given.iter().enumerate() {
        let free = *letter == '*';
        let above = &rows[i];
        let mut row = vec![above[0] + usize::from(!free)];
        for (j, other) in known.iter().enumerate() {
            let replaced = above[j] + usize::from(letter != other && !free);
            let left_out = above[j + 1] + usize::from(!free);
            let put_in = row[j] + usize::from(!free);
            let mut least = replaced.min(left_out).min(put_in);
            let is_exchanged = i > 0 && j > 0 && *letter == known[j - 1] && given[i - 1] == *other;
            if is_exchanged {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows.last()
        .and_then(|row| row.last())
        .copied()
        .unwrap_or_default()
}

/// Beyond that nothing known is near.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, known: &str, expected: usize) {
        assert_eq!(distance(given, known), expected, "{given} {known}");
    }

    #[test]
    fn letters_apart() {
        check("listen", "listen", 0);
        check("lisen", "listen", 1);
        check("lsiten", "listen", 1);
        check("", "abc", 3);
        check("avatar_vido.*", "avatar_video.success", 1);
        check("*.sucess", "avatar_video.success", 1);
        check("*", "anything", 0);
    }

    #[test]
    fn only_what_is_near_was_mistyped() {
        let known = ["forward", "listen", "path"];
        assert_eq!(mistyped("forwad", known), Some("forward"));
        assert_eq!(mistyped("listen", known), None);
        assert_eq!(mistyped("xyz", known), None);
        assert_eq!(mistyped("p", known), None);
    }
}
