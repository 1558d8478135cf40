package check

import (
	"slices"
	"testing"
)

// The zone whose name a provider adds may lie above the domain.
func TestNameOfTheZoneAbove(t *testing.T) {
	t.Parallel()
	zone := zoneText(t, "slip.test", nil, []string{`news.slip.test TXT "v=spf1 -all"`, `_dmarc.news.slip.test TXT "v=DMARC1; p=reject"`})
	resolver := serveZones(t, map[string]string{"slip.test": zone})
	report := Domain(t.Context(), options(resolver, keysFor(t, map[string][]string{"news.slip.test": {"s1"}})), "news.slip.test")
	if got := codes(report); !slices.Contains(got, "spf-doubled-name") || slices.Contains(got, "spf-misplaced") {
		t.Errorf("got %q\n%s", got, told(report))
	}
}
