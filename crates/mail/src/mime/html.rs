//! HTML as plain text: what a letter of HTML says to a reader that shows none.
//!
//! Not a renderer and not a filter: the text is for people and never put into HTML again. It reads in one pass, without recursion, and takes anything
//! for HTML; what it does not know it leaves out.

/// Paragraphs by an empty line, lists by hyphens, links with their address behind them, pictures by their description.
#[must_use]
pub fn to_text(html: &str) -> String {
    let mut text = Text::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (words, markup) = rest.split_at_checked(at).unwrap_or((rest, ""));
        text.words(words);
        rest = text.markup(markup);
    }
    text.words(rest);
    text.end()
}

#[derive(Default)]
struct Text {
    out: String,
    /// Line ends that are due before the next word.
    breaks: usize,
    /// A space is due before the next word.
    space: bool,
    /// Inside `<pre>`.
    verbatim: bool,
    /// Where the open link leads, and where its words begin.
    link: Option<(String, usize)>,
}

impl Text {
    fn words(&mut self, raw: &str) {
        let text = unescape(raw);
        if self.verbatim {
            self.lead();
            return self.out.push_str(&text);
        }
        for c in text.chars() {
            // A no-break space holds words together and is no reason for a line of its own.
            if c.is_whitespace() && c != '\u{a0}' {
                self.space = true;
            } else {
                self.lead();
                self.out.push(if c == '\u{a0}' { ' ' } else { c });
            }
        }
    }

    fn lead(&mut self) {
        if self.breaks > 0 {
            if !self.out.is_empty() {
                self.out.truncate(self.out.trim_end_matches(' ').len());
                self.out.extend(std::iter::repeat_n('\n', self.breaks));
            }
        } else if self.space && !self.out.is_empty() && !self.out.ends_with(['\n', ' ']) {
            self.out.push(' ');
        }
        (self.breaks, self.space) = (0, false);
    }

    fn due(&mut self, breaks: usize) {
        self.breaks = self.breaks.max(breaks);
    }

    /// Takes a tag, a comment or a lone `<`; what stands behind it.
    fn markup<'a>(&mut self, markup: &'a str) -> &'a str {
        if let Some(comment) = markup.strip_prefix("<!--") {
            return comment.find("-->").and_then(|end| comment.get(end + 3..)).unwrap_or_default();
        }
        let after = markup.get(1..).unwrap_or_default();
        if !after.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            self.words("<");
            return after;
        }
        let end = end_of_tag(after);
        let tag = after.get(..end).unwrap_or(after);
        let rest = after.get(end + 1..).unwrap_or_default();
        let name: String =
            tag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '/').collect::<String>().to_ascii_lowercase();
        match name.trim_end_matches('/') {
            hidden @ ("style" | "script" | "head" | "title" | "template") => return behind(rest, hidden),
            "br" => {
                self.breaks += 1;
            }
            "p" | "/p" | "h1" | "/h1" | "h2" | "/h2" | "h3" | "/h3" | "h4" | "/h4" | "h5" | "/h5" | "h6" | "/h6"
            | "blockquote" | "/blockquote" | "ul" | "/ul" | "ol" | "/ol" | "table" | "/table" => self.due(2),
            "div" | "/div" | "tr" | "/tr" | "section" | "/section" | "article" | "/article" | "header" | "/header" | "footer"
            | "/footer" | "dt" | "/dt" | "dd" | "/dd" | "/li" => self.due(1),
            "td" | "/td" | "th" | "/th" => self.space = true,
            "li" => {
                self.due(1);
                self.lead();
                self.out.push_str("- ");
            }
            "hr" => {
                self.due(2);
                self.lead();
                self.out.push_str("---");
                self.due(2);
            }
            "pre" => {
                self.due(2);
                self.lead();
                self.verbatim = true;
            }
            "/pre" => {
                self.verbatim = false;
                self.due(2);
            }
            "img" => {
                if let Some(alt) = attribute(tag, "alt") {
                    self.words(&alt);
                }
            }
            "a" => self.link = attribute(tag, "href").map(|href| (unescape(&href), self.out.len())),
            "/a" => self.end_of_link(),
            _ => {}
        }
        rest
    }

    fn end_of_link(&mut self) {
        let Some((href, from)) = self.link.take() else { return };
        let shown = self.out.get(from..).unwrap_or_default().trim();
        let address = href.strip_prefix("mailto:").unwrap_or(&href);
        // An anchor in the page leads nowhere outside of it; a link that shows its address has said it already.
        if !href.starts_with('#') && !address.is_empty() && !shown.contains(address) {
            let link = if shown.is_empty() { address.to_owned() } else { format!(" ({address})") };
            self.lead_without_space(&link);
        }
    }

    fn lead_without_space(&mut self, words: &str) {
        let space = std::mem::take(&mut self.space);
        if self.breaks > 0 {
            self.lead();
        }
        self.out.push_str(words);
        self.space = space;
    }

    fn end(self) -> String {
        let trimmed = self.out.trim();
        if trimmed.is_empty() { String::new() } else { format!("{trimmed}\n") }
    }
}

/// The place of the `>` that ends a tag; one in quotes does not.
fn end_of_tag(tag: &str) -> usize {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    // A quote that never closes: the first `>` will have to do.
    tag.find('>').unwrap_or(tag.len())
}

/// What stands behind the end tag of an element whose content is not shown.
fn behind<'a>(html: &'a str, name: &str) -> &'a str {
    let mut rest = html;
    while let Some(at) = rest.find("</") {
        let after = rest.get(at + 2..).unwrap_or_default();
        if after.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return after.get(end_of_tag(after) + 1..).unwrap_or_default();
        }
        rest = after;
    }
    ""
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag.split_once(char::is_whitespace)?.1;
    loop {
        rest = rest.trim_start();
        let key_end = rest.find(|c: char| c == '=' || c.is_whitespace())?;
        let (key, after) = rest.split_at_checked(key_end)?;
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
            rest = after;
            continue;
        };
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value.get(1..)?.split_once(quote)?,
            _ => value.split_once(char::is_whitespace).unwrap_or((value.trim_end_matches('/'), "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = after;
    }
}

/// Character references: by number, and the names that letters use.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, reference) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before);
        let end = reference.bytes().take(12).position(|byte| byte == b';');
        let named = end.and_then(|end| character(reference.get(1..end)?).map(|c| (c, end)));
        let taken = named.map_or(1, |(_, end)| end + 1);
        out.push(named.map_or('&', |(c, _)| c));
        rest = reference.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return code.ok().and_then(char::from_u32).filter(|c| !c.is_control() || c.is_whitespace());
    }
    let named = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("copy", '©'),
        ("reg", '®'),
        ("euro", '€'),
        ("pound", '£'),
        ("ndash", '–'),
        ("mdash", '—'),
        ("hellip", '…'),
        ("lsquo", '‘'),
        ("rsquo", '’'),
        ("ldquo", '“'),
        ("rdquo", '”'),
        ("laquo", '«'),
        ("raquo", '»'),
        ("bull", '•'),
        ("middot", '·'),
        ("auml", 'ä'),
        ("ouml", 'ö'),
        ("uuml", 'ü'),
        ("Auml", 'Ä'),
        ("Ouml", 'Ö'),
        ("Uuml", 'Ü'),
        ("szlig", 'ß'),
        ("eacute", 'é'),
        ("egrave", 'è'),
        ("agrave", 'à'),
        ("ccedil", 'ç'),
        ("ntilde", 'ñ'),
    ];
    named.iter().find(|(known, _)| *known == name).map(|&(_, c)| c)
}

#[cfg(test)]
mod tests;
