package migrate

import (
	"fmt"
	"strings"

	"signpost/keystore/finding"
)

// rspamdOther carries over whose mail is signed, and says what it cannot.
func (r *reader) rspamdOther(s *uclObject) {
	r.rspamdTrusted(s)
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
		case "sign_authenticated":
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
			"signpostd signs for every login as whatever domain From has", "let Postfix bind logins to senders: reject_sender_login_mismatch with smtpd_sender_login_maps")
	}
	if at, on := where("allow_hdrfrom_mismatch"); !on {
		r.note("import-envelope", at,
			"allow_hdrfrom_mismatch is off: rspamd does not sign where envelope sender and From differ; signpostd looks at From alone")
	}
}

// rspamdTrusted carries over which clients are signed without a login.
func (r *reader) rspamdTrusted(s *uclObject) {
	local := true
	at := Place{File: r.plan.Path}
	if v, ok := s.get("sign_local"); ok {
		local, at = v.on(), v.at
	}
	var networks []string
	if v, ok := s.get("sign_networks"); ok {
		at = v.at
		networks = r.networks(r.rspamdMap(v), "sign_networks")
	}
	switch {
	case local && len(networks) > 0:
		networks = append([]string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
			"169.254.0.0/16", "::1/128", "fd00::/8", "fe80::/10"}, networks...)
		r.set("SIGNPOST_TRUSTED_NETWORKS", strings.Join(networks, ","), at.String()+": sign_networks",
			"what rspamd takes for local addresses, and sign_networks")
	case len(networks) > 0:
		r.set("SIGNPOST_TRUSTED_NETWORKS", strings.Join(networks, ","), at.String()+": sign_networks",
			"clients whose mail is signed without a login")
	case !local:
		r.report(finding.Warning, "import-setting", at, "sign_local is off: rspamd signs for logins alone",
			"a variable cannot say that: an empty one leaves signpostd with its default, the private networks", "start signpostd with --trusted-networks=''")
	}
}
