package migrate

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// rspamdKnown are the settings that are read elsewhere, or change nothing here.
const rspamdKnown = `
	allow_hdrfrom_mismatch allow_hdrfrom_mismatch_local allow_hdrfrom_mismatch_sign_networks
	allow_username_mismatch domain enabled key_prefix key_table path path_map selector
	selector_map sign_condition sign_headers sign_local sign_networks signing_table symbol
	try_fallback use_esld use_http_headers use_milter_headers use_redis use_vault`

// rspamdOther carries over whose mail is signed, and says what it cannot.
func (r *reader) rspamdOther(s *uclObject) {
	lost := func(name string, v uclValue, effect string) {
		r.report(finding.Warning, "import-setting", v.at,
			fmt.Sprintf("%s = %s cannot be carried over", name, v.text), effect, "")
	}
	for _, m := range s.members {
		name, v := strings.ToLower(m.name), m.value
		switch name {
		case "use_domain", "use_domain_sign_networks", "use_domain_sign_local", "use_domain_sign_inbound":
			if v.text != "header" {
				lost(name, v, "signpostd signs with the domain of From, which alone counts for DMARC")
			}
		case "use_domain_custom":
			lost(name, uclValue{at: v.at, text: "(Lua)"},
				"signpostd signs with the domain of From, which alone counts for DMARC")
		case "sign_authenticated", "auth_only": // the second is the old name, and has the last word
			if !v.on() {
				lost(name, v, "signpostd signs the mail of users who log in")
			}
		case "sign_inbound":
			if v.on() {
				lost(name, v, "signpostd does not sign mail from other clients")
			}
		case "allow_hdrfrom_multiple":
			if v.on() {
				lost(name, v, "mail with several From fields is not signed")
			}
		case "allow_envfrom_empty":
			if !v.on() {
				lost(name, v, "signpostd signs bounces like all other mail")
			}
		case "allowed_ids", "forbidden_ids":
			lost(name, uclValue{at: v.at, text: "…"}, "signpostd knows no settings by id")
		case "check_pubkey", "allow_pubkey_mismatch":
			r.note("import-setting", v.at, "%s is left out: signpost check compares keys with the DNS", name)
		default:
			if !slices.Contains(strings.Fields(rspamdKnown), name) {
				r.note("import-unknown", v.at, "%s is left out: signpostd has no such setting", m.name)
			}
		}
	}
	where := func(name string) (Place, bool) {
		v, ok := s.get(name)
		if !ok {
			return Place{File: r.plan.Path}, false
		}
		return v.at, v.on()
	}
	if at, on := where("allow_username_mismatch"); !on {
		r.report(finding.Note, "import-login", at,
			"allow_username_mismatch is off: rspamd signs for a login only as the domain of its name",
			"signpostd signs for every login as whatever domain From has",
			"let Postfix bind logins to senders: reject_sender_login_mismatch with smtpd_sender_login_maps")
	}
	if at, on := where("allow_hdrfrom_mismatch"); !on {
		r.note("import-envelope", at,
			"allow_hdrfrom_mismatch is off: rspamd does not sign where envelope sender and From "+
				"differ; signpostd looks at From alone")
	}
}

// rspamdTrusted carries over which clients are signed without a login.
func (r *reader) rspamdTrusted(s, others *uclObject) {
	local, from := true, ""
	if v, ok := s.get("sign_local"); ok {
		local, from = v.on(), v.at.String()+": sign_local"
	}
	var networks []string
	if v, ok := s.get("sign_networks"); ok {
		from = v.at.String() + ": sign_networks"
		networks = r.networks(r.rspamdMap(v), "sign_networks")
	}
	addresses, given := others.get("local_addrs")
	switch {
	case local && given:
		from = addresses.at.String() + ": local_addrs"
		networks = append(r.networks(r.rspamdMap(addresses), "local_addrs"), networks...)
	case local && len(networks) == 0:
		return // private networks, as here
	}
	why := "clients whose mail is signed without a login"
	if local {
		why = "what rspamd takes for local addresses, and sign_networks"
		own := []string{"127.0.0.0/8", "::1/128", "fe80::/10"}
		if filepath.Base(filepath.Dir(addresses.at.File)) != "override.d" { // which replaces the list
			own = []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
				"169.254.0.0/16", "::1/128", "fd00::/8", "fe80::/10"}
		}
		networks = append(own, networks...)
	}
	r.trust(networks, from, why)
}

// rspamdHeaders carries over the list of header fields. (o) is before those to
// oversign, (x) before those to oversign only in a message that has them. That
// there is no word for: absent, they may be added by a list on the way, so they
// are signed.
func (r *reader) rspamdHeaders(s, others *uclObject) {
	v, ok := others.get("sign_headers") // of dkim.conf, where it belongs
	if !ok {
		v, ok = s.get("sign_headers")
	}
	if !ok {
		r.note("import-default", Place{File: r.plan.Path}, "not set, and signpostd's defaults differ: sign_headers "+
			"(Resent-Date and List-Archive too, Autocrypt and OpenPGP not; the MIME fields oversigned in any case)")
		return
	}
	var sign, oversign, present []string
	for name := range strings.SplitSeq(strings.Join(v.texts(), ":"), ":") {
		name = strings.TrimSpace(name)
		mark := ""
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "(o)") || strings.HasPrefix(lower, "(x)") {
			mark, name = lower[:3], name[3:]
		}
		if name == "" || slices.ContainsFunc(sign, func(have string) bool { return strings.EqualFold(have, name) }) {
			continue
		}
		sign = append(sign, name)
		switch mark {
		case "(o)":
			oversign = append(oversign, name)
		case "(x)":
			present = append(present, name)
		}
	}
	from := v.at.String() + ": sign_headers"
	r.set("SIGNPOST_SIGN_HEADERS", strings.Join(sign, ","), from, "without this line signpostd has a list of its own")
	if len(oversign) > 0 {
		r.set("SIGNPOST_OVERSIGN_HEADERS", strings.Join(oversign, ","), from, "those with (o)")
	} else {
		r.note("import-setting", v.at, "sign_headers oversigns nothing; signpostd oversigns "+
			"those of its own list that are signed")
	}
	if len(present) > 0 {
		r.note("import-setting", v.at, "(x) is left out: signed and not oversigned are %s", strings.Join(present, ", "))
	}
}
