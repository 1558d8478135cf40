package reports

import (
	"strings"
	"testing"
)

// FuzzContent: nothing that is unpacked gets beyond the limits, and each find is of one kind and
// on its way from where the search began.
func FuzzContent(f *testing.F) {
	xml := testReport("1")
	for _, seed := range []string{xml, gzipped(xml), zipped("a.xml", xml, "b", gzipped(xml)), testTLS,
		mail(attached, inBase64(zipped("a", xml))), mail("Content-Type: message/rfc822", mail("", xml)),
		mailbox(ordinary, mail("Content-Transfer-Encoding: quoted-printable", inQuotedPrintable(xml)))} {
		f.Add(seed)
	}
	limits := Limits{Unpacked: 50_000, Total: 100_000, Message: 100_000, Members: 20, Depth: 3}
	f.Fuzz(func(t *testing.T, text string) {
		count := 0
		err := Read(t.Context(), []string{"-"}, strings.NewReader(text), limits, func(f Found) bool {
			count++
			kinds := 0
			for _, is := range []bool{f.Report != nil, f.TLS != "", f.Err != nil, f.Without != ""} {
				if is {
					kinds++
				}
			}
			if kinds != 1 || !strings.HasPrefix(f.Where, "stdin") {
				t.Errorf("found %+v", f)
			}
			return true
		})
		if err != nil || count == 0 {
			t.Errorf("found %d, %v", count, err)
		}
	})
}

// FuzzSplit: parts of a multipart body are within it, in order, and none has a whole delimiter
// line in it.
func FuzzSplit(f *testing.F) {
	f.Add("--b\r\n\r\nx\r\n--b--\r\n", "b")
	f.Add("--bc\n--b\nx\n--b  \ny--b\n", "b")
	f.Fuzz(func(t *testing.T, body, boundary string) {
		rest := body
		for _, part := range split([]byte(body), boundary) {
			at := strings.Index(rest, string(part))
			if at < 0 {
				t.Fatalf("%q has no part %q", body, part)
			}
			rest = rest[at+len(part):]
		}
	})
}
