//! "Did you mean" suggestions.

/// Minimum similarity of two words (Jaro-Winkler).
const LIKE: f64 = 0.8;

/// Returns the word of `known` that is most similar to `word`, if one is similar enough.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let scored = known.into_iter().map(|known| (known, strsim::jaro_winkler(known, word)));
    scored.filter(|(_, score)| *score > LIKE).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(known, _)| known)
}

/// Returns the suggestion of [`nearest`] as the end of a message; empty without one.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(word, known).map(|known| format!("; did you mean `{known}`?")).unwrap_or_default()
}
