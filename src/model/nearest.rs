//! "Did you mean".

/// Minimum similarity of two words (Jaro-Winkler).
const LIKE: f64 = 0.8;

/// The one of `known` that looks most like a word.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let scored = known.into_iter().map(|known| (known, strsim::jaro_winkler(known, word)));
    scored.filter(|(_, score)| *score > LIKE).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(known, _)| known)
}

/// The same as the end of a message.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(word, known).map(|known| format!("; did you mean `{known}`?")).unwrap_or_default()
}
