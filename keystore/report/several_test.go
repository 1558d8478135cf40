package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// all reads a stream, and says in a word each what came of its reports.
func all(r io.Reader) (got []string) {
	ParseAll(r, func(r *Report, err error) bool {
		if err != nil {
			got = append(got, "error: "+err.Error())
		} else {
			got = append(got, fmt.Sprintf("%s: %d", r.ID, len(r.Rows)))
		}
		return true
	})
	return got
}

// TestParseAll: each report keeps its own rows, and one that is damaged takes away no other.
func TestParseAll(t *testing.T) {
	t.Parallel()
	one := func(id string) string { return strings.Replace(plainReport, "<report_id>", "<report_id>"+id, 1) }
	r, err := Parse(strings.NewReader(plainReport))
	if err != nil {
		t.Fatal(err)
	}
	whole := func(id string) string { return fmt.Sprintf("%s%s: %d", id, r.ID, len(r.Rows)) }
	a, b, c := one("a"), one("b"), one("c")
	torn := b[:strings.Index(b, "<source_ip>")]
	for name, test := range map[string]struct {
		in   string
		want []string
	}{
		"one":               {a, []string{whole("a")}},
		"three":             {a + b + c, []string{whole("a"), whole("b"), whole("c")}},
		"marks between":     {a + "\ufeff" + b + "\n\n", []string{whole("a"), whole("b")}},
		"no end tag":        {strings.Replace(a, "</feedback>", "", 1) + b, []string{whole("a"), whole("b")}},
		"one breaks off":    {a + torn + c, []string{whole("a"), "error: *breaks off in <row>", whole("c")}},
		"one is no report":  {a + "<feedback><report_metadata/></feedback>" + c, []string{whole("a"), "error: *no <domain>", whole("c")}},
		"one is too deep":   {a + "<feedback><record>" + strings.Repeat("<a>", 40) + c, []string{whole("a"), "error: *nested", whole("c")}},
		"document types":    {a + "<!DOCTYPE feedback>" + b, []string{whole("a"), whole("b")}},
		"what ends at once": {a + "<feedback/>" + b, []string{whole("a"), "error: *no <domain>", whole("b")}},
		"nothing":           {"", []string{"error: *no XML"}},
	} {
		got := all(strings.NewReader(test.in))
		if !slices.EqualFunc(got, test.want, func(got, want string) bool {
			start, rest, pattern := strings.Cut(want, "*")
			return got == want || pattern && strings.HasPrefix(got, start) && strings.Contains(got, rest)
		}) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
	// A stream that fails says so once.
	failing := func() io.Reader { return iotest.ErrReader(errors.New("gone")) }
	if got := all(io.MultiReader(strings.NewReader(a+b), failing())); !slices.Equal(got, []string{whole("a"), whole("b"), "error: gone"}) {
		t.Errorf("after reports: %q", got)
	}
	if got := all(io.MultiReader(strings.NewReader(a+torn), failing())); len(got) != 2 || !strings.Contains(got[1], "gone") {
		t.Errorf("within a report: %q", got)
	}
}
