/* Plain text from HTML: what people would read. */
#include "gateway/mail/mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
	const char *html, *text;
} cases[] = {
	{ "", "" },
	{ "Hi", "Hi\n" },
	{ "  a \n b\t<b>c</b> d ", "a b c d\n" },
	{ "<p>One</p><p>Two</p>", "One\n\nTwo\n" },
	{ "<div>One</div><div>Two<br>Three</div>", "One\nTwo\nThree\n" },
	{ "a<br><br><br><br>b", "a\n\nb\n" },
	{ "<h1>Title</h1>text", "Title\n\ntext\n" },
	{ "<ul><li>One</li><li>Two<ul><li>Deep</ul></ul>end", "- One\n- Two\n  - Deep\n\nend\n" },
	{ "<ol start=3><li>c<li>d</ol>", "3. c\n4. d\n" },
	{ "<ul><li><p>One</p><p>more</p></li><li>Two</li></ul>", "- One\n\n  more\n\n- Two\n" },
	{ "<a href='https://shop.example/x'>Shop</a>!", "Shop (https://shop.example/x)!\n" },
	{ "<a href=\"https://shop.example/\">https://shop.example/</a>",
		"https://shop.example/\n" },
	{ "<a href=\"https://www.shop.example\">www.shop.example</a>", "www.shop.example\n" },
	{ "<a href=\"mailto:a@b.example?subject=x\">a@b.example</a>", "a@b.example\n" },
	{ "<a href=\"mailto:a@b.example?subject=x\">Write</a>", "Write (a@b.example)\n" },
	{ "<a href=\"javascript:alert(1)\">x</a> <a href='#top'>top</a>", "x top\n" },
	{ "<a href=\"https://a.example/?a=1&amp;b=2\">x</a>", "x (https://a.example/?a=1&b=2)\n" },
	{ "<a href=\"https://a.example/\"><img src=x></a>", "https://a.example/\n" },
	{ "<a href=\"https://a.example/\"><img src=x alt='Our shop'></a>",
		"[Our shop] (https://a.example/)\n" },
	{ "<a href=https://a.example/><p>Block</p></a><p>next</p>",
		"Block\n(https://a.example/)\n\nnext\n" },
	{ "<a href=\"https://a.example/\">one<a href=\"https://b.example/\">two</a>",
		"one (https://a.example/)two (https://b.example/)\n" },
	{ "<table><tr><th>Item<th>Price<tr><td>Tea</td><td>2 kr</td></tr></table>",
		"Item  Price\nTea  2 kr\n" },
	{ "<table><tr><td></td><td>x</td><td></td></tr></table>y", "x\ny\n" },
	{ "<blockquote>Said<br>so</blockquote>Yes", "> Said\n> so\n\nYes\n" },
	{ "<pre>a  b\n  c</pre>", "a  b\n  c\n" },
	{ "a<hr>b", "a\n----------------------------------------\nb\n" },
	{ "<title>No</title><style>p{}</style><script>if(a<b)'</p>'</script>Yes", "Yes\n" },
	{ "<SCRIPT>x</SCRIPT >Yes", "Yes\n" },
	{ "<!-- a > b <p> -->Yes<![if !mso]>!<![endif]>", "Yes!\n" },
	{ "<div style=\"display:none;max-height:0\">Hidden<div>too</div></div>Yes", "Yes\n" },
	{ "<span style='DISPLAY : None'>Hidden</span>Yes", "Yes\n" },
	{ "&lt;b&gt; &amp;amp; &#229;&#xE5;&aring; &euro; &#8364; &#128;",
		"<b> &amp; ååå € € €\n" },
	{ "&nbsp;&nbsp;a&nbsp;b &zwnj;&#8203;c", "a b c\n" },
	{ "&unknown; &amp &; &#; &#x; AT&T", "&unknown; &amp &; &#; &#x; AT&T\n" },
	{ "&#0; &#xD800; &#99999999999;", "\xef\xbf\xbd \xef\xbf\xbd \xef\xbf\xbd\n" },
	{ "1 < 2 <3 a<b", "1 < 2 <3 a\n" },
	{ "a <b", "a\n" },
	{ "<p title=\"a > b\">x</p>", "x\n" },
	{ "<p title=\"never closed>x</p>", "x\n" },
	{ "</ul></ol></blockquote></pre></a>x", "x\n" },
	{ "\xff\xfe<p>\xc3</p>", "\xef\xbf\xbd\xef\xbf\xbd\n\n\xef\xbf\xbd\n" },
	{ "Привет, <b>Анна</b>!", "Привет, Анна!\n" },
	{ "<script>never ends", "" },
	{ "<img alt=\"a&quot;b\">", "[a\"b]\n" },
};

static void texts(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = BUF_INIT;

		buf_c(&out, "x");
		mail_plain_of_html(str_of(cases[i].html), &out);
		if (!str_is(str_skip(buf_view(&out), 1), cases[i].text))
			fail_msg("%s\n-- gives --\n%.*s\n-- not --\n%s", cases[i].html,
				STR_ARG(str_skip(buf_view(&out), 1)), cases[i].text);
		buf_free(&out);
	}
}

/* What nests or never ends takes time and room in proportion. */
static void bombs(void **state)
{
	static const char *const pieces[] = { "<ul><li>", "<blockquote>x", "<a href=\"",
		"<a href='x\">", "<!--", "<script>", "<", "&", "&#", "<b =\"",
		"<div style=\"display:none\">", "<td>", "<br>", "<pre>\n",
		"<ol><li><ul><li>x<br>" };
	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		struct buf in = BUF_INIT, out = BUF_INIT;

		while (in.n < 1 << 19)
			buf_c(&in, pieces[i]);
		mail_plain_of_html(buf_view(&in), &out);
		assert_true(out.n <= 8 * in.n);
		buf_free(&in);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(bombs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
