package migrate

import "strings"

// unset carries over OpenDKIM's defaults where signpostd has others, and names
// those that it cannot.
func (r *reader) unset(conf directives, whole Place) {
	set := func(name string) bool {
		_, ok := conf.get(name)
		return ok
	}
	if !set("InternalHosts") {
		r.set("SIGNPOST_TRUSTED_NETWORKS", "127.0.0.1,::1", "InternalHosts, which is not set",
			"OpenDKIM then signs for this host and for logins; signpostd would trust private networks too")
	}
	if !set("Canonicalization") {
		r.set("SIGNPOST_CANONICALIZATION", "simple/simple", "Canonicalization, which is not set",
			"without this line it is relaxed/relaxed, which survives more on the way")
	}
	var others []string
	for _, d := range []struct{ name, differs string }{
		{"SignHeaders", "Sender, Message-ID and the MIME fields too"},
		{"OversignHeaders", "several fields, not none"},
		{"MaximumHeaders", "8 MiB, not 64 KiB"},
		{"RequireSafeKeys", "no, not yes"},
		{"Socket", "inet:8891@localhost, not none"},
	} {
		if !set(d.name) {
			others = append(others, d.name+" ("+d.differs+")")
		}
	}
	if len(others) > 0 {
		r.note("import-default", whole, "not set, and signpostd's defaults differ: %s", strings.Join(others, ", "))
	}
}
