//! DSSE: the exact bytes that are signed (<https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>).

/// Returns the pre-authentication encoding: `DSSEv1`, then type and body, each after its length in bytes.
///
/// A signature covers this encoding and not only the body, so that a body cannot pass as one of another type.
#[must_use]
pub fn pre_authentication(payload_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), body.len());
    let mut bytes = Vec::with_capacity(head.len() + body.len());
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        assert_eq!(
            pre_authentication("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
