use super::*;

#[test]
fn what_html_says_is_said_in_words() {
    let rows = [
        ("<p>One</p><p>Two</p>", "One\n\nTwo\n"),
        ("a<br>b<br/>c", "a\nb\nc\n"),
        ("<ul><li>x</li><li>y</li></ul>z", "- x\n- y\n\nz\n"),
        ("see <a href=\"https://x.example/?a=1&amp;b=2\">this</a>.", "see this (https://x.example/?a=1&b=2).\n"),
        ("<a href='https://x.example'>https://x.example</a>", "https://x.example\n"),
        ("<a href=mailto:a@x.example>Al</a>", "Al (a@x.example)\n"),
        ("<a href='#top'>up</a>", "up\n"),
        ("<style>p > a { x }</style><script>1<2</script>hi", "hi\n"),
        ("<head><title>T</title></head><body>hi</body>", "hi\n"),
        ("a <!-- b --> c", "a c\n"),
        ("<img alt='A cat' src=\"cid:c@x\">", "A cat\n"),
        ("<pre>a  b\n c</pre>", "a  b\n c\n"),
        ("1 &lt; 2 &amp;&nbsp;3 &#8364; &#x20AC; &unknown; &", "1 < 2 & 3 € € &unknown; &\n"),
        ("a < b", "a < b\n"),
        ("<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1 2\n3\n"),
        ("  many \n\n spaces\t ", "many spaces\n"),
        ("", ""),
        ("<", "<\n"),
        ("<a href=\"never closed>x", "x\n"),
        ("<p title='a > b'>x", "x\n"),
        ("<h1>Grüße</h1>an alle", "Grüße\n\nan alle\n"),
        ("<style>no end", ""),
    ];
    for (html, text) in rows {
        assert_eq!(to_text(html), text, "{html}");
    }
}
