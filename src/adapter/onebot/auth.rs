//! Who may speak: the access token of a connection and the signature under what is posted.
//!
//! Both are compared in constant time, and neither is ever logged
//! (<https://github.com/botuniverse/onebot-11/blob/master/communication/authorization.md>,
//! <https://github.com/botuniverse/onebot-11/blob/master/communication/http-post.md>).

use hmac::{Hmac, Mac};
use hyper::HeaderMap;
use hyper::header;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::Secret;

/// Whether a request carries the token, in its header or, from implementations that cannot set
/// one, in its query. Without a token anybody on this machine may, except a page in a browser,
/// which says where it comes from.
pub fn is_authorized(token: Option<&Secret>, headers: &HeaderMap, query: &str) -> bool {
    let Some(token) = token else { return !headers.contains_key(header::ORIGIN) };
    let wanted = token.reveal();
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.map(|value| match value.split_once(' ') {
        Some(("Bearer" | "bearer" | "Token" | "token", token)) => token.trim(),
        _ => value.trim(),
    });
    let by_header = given.is_some_and(|given| is_same(given.as_bytes(), wanted.as_bytes()));
    let by_query = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("access_token="))
        .any(|given| is_same(&unescape(given), wanted.as_bytes()));
    by_header | by_query
}

/// Whether the signature over a body is right.
pub fn is_signed(secret: &Secret, headers: &HeaderMap, body: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.reveal().as_bytes()) else {
        return false;
    };
    mac.update(body);
    let given = headers.get("x-signature").and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("sha1=")).and_then(bytes);
    given.is_some_and(|given| mac.verify_slice(&given).is_ok())
}

/// Hashes have one length, so that not even that is told.
fn is_same(given: &[u8], wanted: &[u8]) -> bool {
    let (given, wanted) = (Sha256::digest(given), Sha256::digest(wanted));
    given[..].ct_eq(&wanted[..]).into()
}

/// Hexadecimal digits as bytes.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}

/// `%2B` → `+`.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            let name = hyper::header::HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).expect("plain"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_token_is_taken_from_header_or_query() {
        let token = Secret::new("a+b c".to_owned());
        let check = |pairs: &[(&'static str, &str)], query: &str, expected: bool| {
            let headers = headers(pairs);
            assert_eq!(is_authorized(Some(&token), &headers, query), expected, "{pairs:?} {query}");
        };
        check(&[("authorization", "Bearer a+b c")], "", true);
        check(&[("authorization", "Token a+b c")], "", true);
        check(&[], "x=1&access_token=a%2Bb%20c", true);
        check(&[("authorization", "Bearer a+b")], "", false);
        check(&[("authorization", "Bearer ")], "access_token=", false);
        check(&[("authorization", "Bearer wrong")], "access_token=a%2Bb%20c", true);
        check(&[], "access_token=%", false);
        check(&[], "", false);
    }

    #[test]
    fn without_a_token_pages_in_a_browser_are_refused() {
        assert!(is_authorized(None, &headers(&[]), ""));
        assert!(!is_authorized(None, &headers(&[("origin", "https://evil.example")]), ""));
    }

    #[test]
    fn a_signature_is_over_the_bytes() {
        let secret = Secret::new("key".to_owned());
        let body = b"The quick brown fox jumps over the lazy dog";
        let right = "sha1=de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9";
        assert!(is_signed(&secret, &headers(&[("x-signature", right)]), body));
        for wrong in ["", "sha1=", "sha1=zz", "sha1=é", &right[5..], &right[..right.len() - 2]] {
            let mut all = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(wrong.as_bytes()) {
                all.insert("x-signature", value);
            }
            assert!(!is_signed(&secret, &all, body), "{wrong}");
        }
        assert!(!is_signed(&secret, &headers(&[("x-signature", right)]), &body[1..]));
        assert!(!is_signed(&secret, &headers(&[]), body));
    }
}
