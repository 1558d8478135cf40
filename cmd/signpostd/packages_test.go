package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The daemon links what it needs to sign, and nothing of what only the companion
// does: judge SPF, speak milter or SMTP as a client, publish records.
func TestPackages(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if !slices.Contains(packages, "signpost/milter/dkim") {
		t.Fatalf("it links no signer: %q", packages)
	}
	for _, name := range packages {
		for _, foreign := range []string{
			"blitiri.com.ar/go/spf",
			"github.com/d--j/go-milter",
			"github.com/emersion/",
			"github.com/libdns/",
			"github.com/aws/",
			"signpost/keystore/check",
			"signpost/keystore/migrate",
			"signpost/keystore/policy",
			"signpost/keystore/publish",
			"signpost/keystore/record/render",
			"signpost/milter/verify",
			"signpost/postfix",
		} {
			if strings.HasPrefix(name, foreign) {
				t.Errorf("it links %s", name)
			}
		}
	}
}
