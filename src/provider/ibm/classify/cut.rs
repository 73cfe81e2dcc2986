//! Cuts secret members out of an answer, and puts them back.

use std::borrow::Cow;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::fields::AnswerShape;
use crate::model::Payload;
use crate::model::json::{MAX_DEPTH, Members};

/// An answer in two parts.
#[derive(Debug)]
pub struct Cut {
    /// The answer without its secret members; unchanged byte for byte if it had none.
    pub rest: String,
    /// The removed members, each value as its exact text.
    pub payload: Option<Payload>,
}

/// The text is not JSON, or nests deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no JSON value that nests at most {MAX_DEPTH} deep")]
pub struct CutError;

/// Cuts every member that `shape` defines as secret out of a JSON value.
///
/// A top-level member keeps its name in the payload (`payload`, `data`); a nested one gets its JSON pointer
/// (`/managed_csr/private_key`). With a `prefix`, every name is the prefix and the pointer
/// (`row/managed_csr/private_key`), so that the cuts of several documents fit into one payload.
///
/// # Errors
/// [`CutError`] if the text cannot be parsed.
pub fn cut(text: &str, shape: AnswerShape<'_>, prefix: Option<&str>) -> Result<Cut, CutError> {
    let mut knife = Knife { shape, prefix, taken: Vec::new() };
    let rest = knife.value(text.trim(), &mut Vec::new())?;
    let payload = join(knife.taken.iter().map(|(name, value)| (name.as_str(), *value)));
    Ok(Cut { rest: rest.into_owned(), payload })
}

/// Merges several cuts into one payload, in order; `None` if all are empty.
#[must_use]
pub fn merge<'a>(parts: impl IntoIterator<Item = &'a Payload>) -> Option<Payload> {
    let parts: Vec<Members<'a>> =
        parts.into_iter().filter_map(|payload| Members::parse(payload.expose()).ok()).collect();
    join(parts.iter().flat_map(|members| members.0.iter().map(|(name, value)| (name.as_str(), value.get()))))
}

/// Puts cut members back into their document: those of `payload` whose name is `prefix` and a pointer (without a
/// prefix: all). Ignores a pointer whose object no longer exists.
///
/// # Errors
/// [`CutError`] if one of the texts cannot be parsed.
pub fn rejoin(rest: &str, payload: &Payload, prefix: Option<&str>) -> Result<Zeroizing<String>, CutError> {
    let members = Members::parse(payload.expose()).map_err(|_| CutError)?;
    let mut back: Vec<(Vec<String>, &str)> = Vec::new();
    for (name, value) in &members.0 {
        let path = match prefix {
            Some(prefix) => match name.strip_prefix(prefix) {
                Some(pointer) if pointer.starts_with('/') => steps(pointer),
                _ => continue,
            },
            None if name.starts_with('/') => steps(name),
            None => vec![name.clone()],
        };
        back.push((path, value.get()));
    }
    let size = rest.len() + payload.expose().len();
    let mut out = Zeroizing::new(String::with_capacity(size));
    graft(rest.trim(), &mut Vec::new(), &back, &mut out)?;
    Ok(out)
}

struct Knife<'a> {
    shape: AnswerShape<'a>,
    prefix: Option<&'a str>,
    taken: Vec<(String, &'a str)>,
}

impl<'a> Knife<'a> {
    /// Processes one value; returns it unchanged if nothing below it was cut.
    fn value(&mut self, text: &'a str, path: &mut Vec<String>) -> Result<Cow<'a, str>, CutError> {
        if path.len() > MAX_DEPTH {
            return Err(CutError);
        }
        match text.as_bytes().first() {
            Some(b'{') => self.object(text, path),
            Some(b'[') => self.list(text, path),
            Some(_) => Ok(Cow::Borrowed(text)),
            None => Err(CutError),
        }
    }

    fn object(&mut self, text: &'a str, path: &mut Vec<String>) -> Result<Cow<'a, str>, CutError> {
        let members = Members::parse(text).map_err(|_| CutError)?.0;
        let before = self.taken.len();
        let mut kept = Vec::with_capacity(members.len());
        for (name, value) in members {
            if self.shape.is_secret(&name, path.len()) {
                self.taken.push((self.name(path, &name), value.get()));
                continue;
            }
            path.push(name);
            let rest = self.value(value.get(), path)?;
            kept.push((path.pop().unwrap_or_default(), rest));
        }
        if self.taken.len() == before {
            return Ok(Cow::Borrowed(text));
        }
        let mut out = String::from("{");
        for (index, (name, rest)) in kept.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_name(&mut out, name)?;
            out.push_str(rest);
        }
        out.push('}');
        Ok(Cow::Owned(out))
    }

    fn list(&mut self, text: &'a str, path: &mut Vec<String>) -> Result<Cow<'a, str>, CutError> {
        let list: Vec<&'a RawValue> = serde_json::from_str(text).map_err(|_| CutError)?;
        let before = self.taken.len();
        let mut kept = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            path.push(index.to_string());
            kept.push(self.value(value.get(), path)?);
            path.pop();
        }
        if self.taken.len() == before {
            return Ok(Cow::Borrowed(text));
        }
        Ok(Cow::Owned(format!("[{}]", kept.join(","))))
    }

    fn name(&self, path: &[String], name: &str) -> String {
        if path.is_empty() && self.prefix.is_none() {
            return name.to_owned();
        }
        let mut pointer = self.prefix.unwrap_or_default().to_owned();
        for step in path.iter().map(String::as_str).chain([name]) {
            pointer.push('/');
            pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        }
        pointer
    }
}

/// Returns the steps of a JSON pointer.
fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

/// Writes a value together with the members of `back` that belong below it.
fn graft(
    text: &str,
    path: &mut Vec<String>,
    back: &[(Vec<String>, &str)],
    out: &mut Zeroizing<String>,
) -> Result<(), CutError> {
    let below = back.iter().any(|(steps, _)| steps.len() > path.len() && steps.starts_with(path));
    match text.as_bytes().first() {
        _ if path.len() > MAX_DEPTH => return Err(CutError),
        Some(b'{') if below => {
            out.push('{');
            let mut first = true;
            let members = Members::parse(text).map_err(|_| CutError)?.0;
            for (name, value) in members {
                separate(out, &mut first);
                push_name(out, &name)?;
                path.push(name);
                graft(value.get(), path, back, out)?;
                path.pop();
            }
            for (steps, value) in back.iter().filter(|(steps, _)| steps.len() == path.len() + 1) {
                if let Some((name, parent)) = steps.split_last()
                    && parent == path.as_slice()
                {
                    separate(out, &mut first);
                    push_name(out, name)?;
                    out.push_str(value);
                }
            }
            out.push('}');
        }
        Some(b'[') if below => {
            let list: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| CutError)?;
            out.push('[');
            let mut first = true;
            for (index, value) in list.into_iter().enumerate() {
                separate(out, &mut first);
                path.push(index.to_string());
                graft(value.get(), path, back, out)?;
                path.pop();
            }
            out.push(']');
        }
        Some(_) => out.push_str(text),
        None => return Err(CutError),
    }
    Ok(())
}

fn separate(out: &mut String, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(',');
    }
}

fn push_name(out: &mut String, name: &str) -> Result<(), CutError> {
    out.push_str(&serde_json::to_string(name).map_err(|_| CutError)?);
    out.push(':');
    Ok(())
}

/// Joins members into one object. Its buffer never grows, so no unwiped copy remains in memory.
fn join<'a>(members: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Option<Payload> {
    let names: Vec<String> = members.clone().filter_map(|(name, _)| serde_json::to_string(name).ok()).collect();
    if names.is_empty() {
        return None;
    }
    let size = 2
        + members.clone().map(|(_, value)| value.len() + 2).sum::<usize>()
        + names.iter().map(String::len).sum::<usize>();
    let mut out = Zeroizing::new(String::with_capacity(size));
    out.push('{');
    for (index, (name, (_, value))) in names.iter().zip(members).enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(name);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    Some(Payload::new(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(text: &str, shape: AnswerShape<'_>, prefix: Option<&str>) -> (String, Option<String>) {
        let cut = cut(text, shape, prefix).unwrap();
        (cut.rest, cut.payload.map(|payload| payload.expose().to_owned()))
    }

    #[test]
    fn payloads_keep_their_exact_text() {
        let text = r#"{"id":"v","data":{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2},"alias":"current"}"#;
        let (rest, payload) = both(text, AnswerShape::Secret("kv"), None);
        assert_eq!(rest, r#"{"id":"v","alias":"current"}"#);
        let wanted = r#"{"data":{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}}"#;
        assert_eq!(payload.as_deref(), Some(wanted));
    }

    #[test]
    fn what_is_not_cut_is_not_touched() {
        let text = "{ \"name\" : \"a\\u0062\",\n \"n\": 1.00 }";
        assert_eq!(both(text, AnswerShape::Secret("kv"), None), (text.to_owned(), None));
    }

    #[test]
    fn private_keys_are_found_at_any_depth_and_in_any_spelling() {
        let text = r#"{"managed_csr":{"csr":"C","private\u005fkey":"K"},"l":[1,{"private_key":"L"}]}"#;
        let (rest, payload) = both(text, AnswerShape::Secret("imported_cert"), Some("row"));
        assert_eq!(rest, r#"{"managed_csr":{"csr":"C"},"l":[1,{}]}"#);
        assert_eq!(payload.as_deref(), Some(r#"{"row/managed_csr/private_key":"K","row/l/1/private_key":"L"}"#));
        let (rest, payload) = both(text, AnswerShape::Other, None);
        assert_eq!(rest, r#"{"managed_csr":{"csr":"C"},"l":[1,{}]}"#);
        assert_eq!(payload.as_deref(), Some(r#"{"/managed_csr/private_key":"K","/l/1/private_key":"L"}"#));
    }

    #[test]
    fn repeated_members_are_all_cut() {
        let (rest, payload) = both(r#"{"payload":"a","payload":"b"}"#, AnswerShape::Secret("arbitrary"), None);
        assert_eq!((rest.as_str(), payload.as_deref()), ("{}", Some(r#"{"payload":"a","payload":"b"}"#)));
    }

    #[test]
    fn rejoining_gives_the_members_back() {
        let text = r#"{"a/b":{"private_key":"K"},"l":[{"private_key":7}],"z":1}"#;
        let parts = cut(text, AnswerShape::Other, Some("row")).unwrap();
        let other = cut(r#"{"private_key":"no"}"#, AnswerShape::Other, Some("rows")).unwrap();
        let all = merge([&other.payload.unwrap(), &parts.payload.unwrap()]).unwrap();
        assert_eq!(rejoin(&parts.rest, &all, Some("row")).unwrap().as_str(), text);
        let parts = cut(r#"{"id":1,"payload":"x"}"#, AnswerShape::Secret("arbitrary"), None).unwrap();
        let back = rejoin(&parts.rest, &parts.payload.unwrap(), None).unwrap();
        assert_eq!(back.as_str(), r#"{"id":1,"payload":"x"}"#);
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_refused() {
        assert!(cut("{", AnswerShape::Other, None).is_err());
        assert!(cut("", AnswerShape::Other, None).is_err());
        let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
        assert!(cut(&deep, AnswerShape::Other, None).is_err());
    }
}
