//! Forms with files (`multipart/form-data`), as far as an upload needs them.

use crate::limits::BOUNDARY_BYTES_MAX;

/// What divides the parts of a form; none where the content is no such form.
#[must_use]
pub fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"').to_owned())
    });
    boundary.filter(|boundary| (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()))
}

/// The contents of a field of the form; the name is empty for a part that has none.
#[must_use]
pub fn field<'b>(body: &'b [u8], boundary: &str, name: &str) -> Option<&'b [u8]> {
    let divider = format!("--{boundary}");
    let mut rest = after(body, divider.as_bytes())?;
    loop {
        // Two dashes after a divider end the form.
        let part = rest.strip_prefix(b"\r\n")?;
        let end = format!("\r\n{divider}");
        let length = find(part, end.as_bytes())?;
        let (part, after) = part.split_at_checked(length)?;
        if let Some(contents) = contents_of(part, name) {
            return Some(contents);
        }
        rest = after.get(end.len()..)?;
    }
}

fn contents_of<'p>(part: &'p [u8], name: &str) -> Option<&'p [u8]> {
    let end = find(part, b"\r\n\r\n")?;
    let (head, contents) = part.split_at_checked(end)?;
    let head = String::from_utf8_lossy(head);
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"));
    let own = disposition.and_then(|line| line.split(';').find_map(|part| part.trim().strip_prefix("name=")));
    (own.unwrap_or_default().trim_matches('"') == name).then(|| contents.get(4..).unwrap_or_default())
}

fn after<'b>(body: &'b [u8], what: &[u8]) -> Option<&'b [u8]> {
    body.get(find(body, what)? + what.len()..)
}

fn find(body: &[u8], what: &[u8]) -> Option<usize> {
    body.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &[u8] = b"--x\r\nContent-Disposition: form-data; name=\"redirect\"\r\n\r\n/y\r\n--x\r\n\
        content-disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: application/json\r\n\r\n{\r\n\r\n}\r\n--x--\r\n";

    #[test]
    fn fields_are_found_by_their_names() {
        assert_eq!(field(FORM, "x", "file"), Some(&b"{\r\n\r\n}"[..]));
        assert_eq!(field(FORM, "x", "redirect"), Some(&b"/y"[..]));
        assert_eq!(field(FORM, "x", "other"), None);
        assert_eq!(field(FORM, "y", "file"), None);
        for length in 0..FORM.len() {
            // Whatever is cut off, nothing panics.
            let _ = field(&FORM[..length], "x", "file");
        }
    }

    #[test]
    fn only_forms_have_boundaries() {
        assert_eq!(boundary("multipart/form-data; charset=x; boundary=\"a b\""), Some("a b".to_owned()));
        assert_eq!(boundary("Multipart/Form-Data;boundary=--x"), Some("--x".to_owned()));
        assert_eq!(boundary("application/json"), None);
        assert_eq!(boundary("text/plain; boundary=x"), None);
        assert_eq!(boundary(&format!("multipart/form-data; boundary={}", "-".repeat(71))), None);
    }
}
