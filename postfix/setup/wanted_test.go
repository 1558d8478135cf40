package setup

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// bare is a machine without certificates.
func bare() Machine {
	return Machine{Hostname: "box.example.org", Exists: func(string) bool { return false }}
}

// with returns a machine that has these files.
func with(paths ...string) Machine {
	m := bare()
	m.Exists = func(path string) bool { return slices.Contains(paths, path) }
	return m
}

// work runs FromVariables with everybody allowed, unless the variables say
// otherwise.
func work(t *testing.T, vars map[string]string, main string, request Request, machine Machine) (*Wanted, error) {
	t.Helper()
	all := map[string]string{"ALLOW_EMPTY_SENDER_DOMAINS": "yes"}
	maps.Copy(all, vars)
	if request.Milter == "" {
		request.Milter = "inet:signpostd:8891"
	}
	request.Dir = "/etc/postfix"
	file, err := postfix.ParseMain("main.cf", []byte(main))
	if err != nil {
		t.Fatal(err)
	}
	return FromVariables(all, file, request, machine)
}

// shown is a setting as line, "name unset" for one that is taken out, and ""
// for one that is not ours.
func (w *Wanted) shown(name string) string {
	for _, s := range w.Parameters {
		if s.Name == name && s.Unset {
			return name + " unset"
		} else if s.Name == name {
			return s.Line()
		}
	}
	return ""
}

func TestFromVariables(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		vars    map[string]string
		main    string
		request Request
		machine Machine
		want    map[string]string // parameter to what shown says
		warning string            // a part of the only warning
	}{
		{name: "defaults", want: map[string]string{
			"myhostname":                       "myhostname = box.example.org",
			"myorigin":                         "myorigin = $myhostname",
			"mydestination":                    "mydestination =",
			"mynetworks":                       "mynetworks = 127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 [::1]/128 [fc00::]/7 [fe80::]/10",
			"message_size_limit":               "message_size_limit = 0",
			"mailbox_size_limit":               "mailbox_size_limit = 0",
			"smtp_tls_security_level":          "smtp_tls_security_level = may",
			"smtp_tls_CAfile":                  "",
			"smtpd_tls_security_level":         "smtpd_tls_security_level = none",
			"relayhost":                        "",
			"smtp_sasl_password_maps":          "",
			"debug_peer_list":                  "",
			"smtpd_milters":                    "smtpd_milters = inet:signpostd:8891",
			"non_smtpd_milters":                "non_smtpd_milters = inet:signpostd:8891",
			"milter_default_action":            "milter_default_action = tempfail",
			"milter_protocol":                  "milter_protocol = 6",
			"smtpd_sender_restrictions":        "",
			"smtpd_relay_restrictions":         "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject",
			"smtpd_client_restrictions":        "smtpd_client_restrictions = permit_mynetworks, permit_sasl_authenticated, reject",
			"smtpd_recipient_restrictions":     "smtpd_recipient_restrictions = reject_non_fqdn_recipient, reject_unknown_recipient_domain",
			"smtpd_forbid_bare_newline":        "",
			"internal_mail_filter_classes":     "internal_mail_filter_classes = bounce",
			"parent_domain_matches_subdomains": "",
		}},
		{name: "host from HOSTNAME", vars: map[string]string{"HOSTNAME": "a.example.org"},
			want: map[string]string{"myhostname": "myhostname = a.example.org"}},
		{name: "host from POSTFIX_myhostname", vars: map[string]string{"HOSTNAME": "0123456789ab", "POSTFIX_myhostname": "b.example.org"},
			want: map[string]string{"myhostname": "myhostname = b.example.org"}},
		{name: "host from other settings", vars: map[string]string{"POSTFIX_myhostname": "mail.$mydomain"},
			want: map[string]string{"myhostname": "myhostname = mail.$mydomain"}},
		{name: "short host", vars: map[string]string{"HOSTNAME": "0123456789ab"},
			want: map[string]string{"myhostname": "myhostname = 0123456789ab"}, warning: `"0123456789ab" is not a full name`},
		{name: "networks", vars: map[string]string{"MYNETWORKS": "10.0.0.0/8"}, want: map[string]string{"mynetworks": "mynetworks = 10.0.0.0/8"}},
		{name: "networks twice", vars: map[string]string{"MYNETWORKS": "10.0.0.0/8", "POSTFIX_mynetworks": "192.0.2.0/24"},
			want: map[string]string{"mynetworks": "mynetworks = 192.0.2.0/24"}},
		{name: "the world as network", vars: map[string]string{"POSTFIX_mynetworks": "127.0.0.1, 0.0.0.0/0"},
			want: map[string]string{"mynetworks": "mynetworks = 127.0.0.1, 0.0.0.0/0"}, warning: "anybody who reaches the port may send"},
		{name: "size", vars: map[string]string{"MESSAGE_SIZE_LIMIT": "1000"}, want: map[string]string{"message_size_limit": "message_size_limit = 1000", "mailbox_size_limit": "mailbox_size_limit = 0"}},
		{name: "senders", vars: map[string]string{"ALLOWED_SENDER_DOMAINS": "example.org"}, want: map[string]string{
			"smtpd_sender_restrictions":        "smtpd_sender_restrictions = reject_non_fqdn_sender, check_sender_access texthash:/etc/postfix/signpost_senders, check_sender_access static:{REJECT domain is not in ALLOWED_SENDER_DOMAINS}, reject",
			"parent_domain_matches_subdomains": "parent_domain_matches_subdomains = debug_peer_list, fast_flush_domains, mynetworks, permit_mx_backup_networks, qmqpd_authorized_clients, relay_domains",
		}},
		{name: "origin: the only domain", vars: map[string]string{"ALLOWED_SENDER_DOMAINS": "Example.org"}, want: map[string]string{"myorigin": "myorigin = example.org"}},
		{name: "container whose id has no letter", vars: map[string]string{"HOSTNAME": "123456789012"},
			want: map[string]string{"myhostname": "myhostname = 123456789012.localdomain"}, warning: `"123456789012.localdomain" is not a full name`},
		{name: "origin: the first, for a container", vars: map[string]string{"ALLOWED_SENDER_DOMAINS": "example.net example.org", "HOSTNAME": "0123456789ab"},
			want: map[string]string{"myorigin": "myorigin = example.net"}, warning: "is not a full name"},
		{name: "origin: the host's", vars: map[string]string{"ALLOWED_SENDER_DOMAINS": "example.net example.org", "POSTFIX_myhostname": "mail.Example.org"},
			want: map[string]string{"myorigin": "myorigin = example.org"}},
		{name: "origin: the nearest above the host", vars: map[string]string{"ALLOWED_SENDER_DOMAINS": "example.org b.example.org", "HOSTNAME": "a.b.example.org"},
			want: map[string]string{"myorigin": "myorigin = b.example.org"}},
		{name: "origin: the host itself", vars: map[string]string{"ALLOWED_SENDER_DOMAINS": "mail.example.org example.org", "HOSTNAME": "mail.example.org"},
			want: map[string]string{"myorigin": "myorigin = mail.example.org"}},
		{name: "origin: no more than the end of a label", vars: map[string]string{"ALLOWED_SENDER_DOMAINS": "example.net example.org", "HOSTNAME": "myexample.org"},
			want: map[string]string{"myorigin": "myorigin = example.net"}},
		{name: "origin: A-labels", vars: map[string]string{"ALLOWED_SENDER_DOMAINS": "bücher.example", "HOSTNAME": "mail.xn--bcher-kva.example"},
			want: map[string]string{"myorigin": "myorigin = xn--bcher-kva.example"}},
		{name: "origin: that of main.cf", main: "myorigin = example.com\n", vars: map[string]string{"ALLOWED_SENDER_DOMAINS": "example.org example.com", "HOSTNAME": "a.example.org"},
			want: map[string]string{"myorigin": "myorigin = example.com"}},
		{name: "origin: that of main.cf, which may not send", main: "myorigin = $myhostname\n", vars: map[string]string{"ALLOWED_SENDER_DOMAINS": "example.org", "HOSTNAME": "a.example.org"},
			want: map[string]string{"myorigin": "myorigin = example.org"}},
		{name: "origin: by variable", vars: map[string]string{"ALLOWED_SENDER_DOMAINS": "example.org", "POSTFIX_myorigin": "x.example.org"},
			want: map[string]string{"myorigin": "myorigin = x.example.org"}},
		{name: "bounces: by main.cf", main: "internal_mail_filter_classes = notify, bounce\n", want: map[string]string{"internal_mail_filter_classes": ""}},
		{name: "bounces: not by main.cf", main: "internal_mail_filter_classes = notify\n", want: map[string]string{"internal_mail_filter_classes": ""},
			warning: "bounces leave unsigned; hint: take it out of main.cf, or set POSTFIX_internal_mail_filter_classes=notify,bounce"},
		{name: "bounces: by variable", main: "internal_mail_filter_classes = notify\n", vars: map[string]string{"POSTFIX_internal_mail_filter_classes": ""},
			want: map[string]string{"internal_mail_filter_classes": "internal_mail_filter_classes unset"}},
		{name: "all senders by no", vars: map[string]string{"ALLOW_EMPTY_SENDER_DOMAINS": "no"}, warning: "ALLOW_EMPTY_SENDER_DOMAINS=no means on"},
		{name: "debugging", vars: map[string]string{"INBOUND_DEBUGGING": "yes"}, want: map[string]string{"debug_peer_list": "debug_peer_list = $mynetworks"}},
		{name: "debugging by 0", vars: map[string]string{"INBOUND_DEBUGGING": "0"}, want: map[string]string{"debug_peer_list": "debug_peer_list = $mynetworks"},
			warning: "INBOUND_DEBUGGING=0 means on"},
		{name: "debugging by nothing", vars: map[string]string{"INBOUND_DEBUGGING": ""}, want: map[string]string{"debug_peer_list": ""}},
		{name: "masquerade", vars: map[string]string{"MASQUERADED_DOMAINS": "example.org,!a.example.org"}, want: map[string]string{
			"masquerade_domains": "masquerade_domains = example.org !a.example.org", "local_header_rewrite_clients": "local_header_rewrite_clients = static:all"}},
		{name: "relay", vars: map[string]string{"RELAYHOST": "[r.example.net]:587"}, want: map[string]string{"relayhost": "relayhost = [r.example.net]:587", "smtp_sasl_auth_enable": ""}},
		{name: "relay with password", vars: map[string]string{"RELAYHOST": "r.example.net", "RELAYHOST_USERNAME": "u", "RELAYHOST_PASSWORD": "p", "RELAYHOST_TLS_LEVEL": "encrypt"},
			want: map[string]string{
				"relayhost":                  "relayhost = r.example.net",
				"smtp_sasl_auth_enable":      "smtp_sasl_auth_enable = yes",
				"smtp_sasl_password_maps":    "smtp_sasl_password_maps = texthash:/etc/postfix/signpost_relay_password",
				"smtp_sasl_security_options": "smtp_sasl_security_options = noanonymous",
				"smtp_tls_security_level":    "smtp_tls_security_level = encrypt",
			}},
		{name: "password in the clear", vars: map[string]string{"RELAYHOST": "r.example.net", "RELAYHOST_USERNAME": "u", "RELAYHOST_PASSWORD": "p"},
			warning: "RELAYHOST_TLS_LEVEL=encrypt"},
		{name: "password without relay", vars: map[string]string{"RELAYHOST_USERNAME": "u"}, want: map[string]string{"smtp_sasl_auth_enable": ""}, warning: "RELAYHOST is not"},
		{name: "certificates of the world", machine: with(caBundle), want: map[string]string{"smtp_tls_CAfile": "smtp_tls_CAfile = " + caBundle}},
		{name: "certificates named already", machine: with(caBundle), main: "smtp_tls_CAfile = /ca\n", want: map[string]string{"smtp_tls_CAfile": ""}},
		{name: "no certificates to verify by", vars: map[string]string{"RELAYHOST_TLS_LEVEL": "verify"}, warning: "install the package ca-certificates"},
		{name: "own certificate", machine: with(selfCert, selfCertKey), want: map[string]string{
			"smtpd_tls_cert_file": "smtpd_tls_cert_file = " + selfCert, "smtpd_tls_key_file": "smtpd_tls_key_file = " + selfCertKey,
			"smtpd_tls_security_level": "smtpd_tls_security_level = may"}},
		{name: "own certificate without key", machine: with(selfCert), want: map[string]string{
			"smtpd_tls_cert_file": "", "smtpd_tls_security_level": "smtpd_tls_security_level = none"}},
		{name: "Debian's main.cf without the package", main: "smtpd_tls_cert_file=" + selfCert + "\nsmtpd_tls_key_file=" + selfCertKey + "\nsmtpd_tls_security_level=may\n",
			want: map[string]string{"smtpd_tls_security_level": "smtpd_tls_security_level = none"}},
		{name: "mounted certificate", main: "smtpd_tls_cert_file = /c\nsmtpd_tls_key_file = /k\nsmtpd_tls_security_level = encrypt\n", machine: with("/c", "/k"),
			want: map[string]string{"smtpd_tls_security_level": "", "smtpd_tls_cert_file": ""}},
		{name: "mounted certificate by variable", vars: map[string]string{"POSTFIX_smtpd_tls_cert_file": "/c"}, machine: with("/c"),
			want: map[string]string{"smtpd_tls_security_level": "smtpd_tls_security_level = may", "smtpd_tls_cert_file": "smtpd_tls_cert_file = /c"}},
		{name: "mounted certificate that is not there", main: "smtpd_tls_cert_file = /c\n", warning: "/c or its key does not exist",
			want: map[string]string{"smtpd_tls_security_level": "smtpd_tls_security_level = none"}},
		{name: "chain", main: "smtpd_tls_chain_files = /c\n", want: map[string]string{"smtpd_tls_security_level": ""}},
		{name: "certificate switched off", vars: map[string]string{"POSTFIX_smtpd_tls_cert_file": ""}, machine: with(selfCert, selfCertKey),
			want: map[string]string{"smtpd_tls_security_level": "smtpd_tls_security_level = none", "smtpd_tls_key_file": ""}},
		{name: "smuggling", machine: Machine{Hostname: "a.b", Exists: bare().Exists, CanForbidBareNewline: true}, want: map[string]string{"smtpd_forbid_bare_newline": "smtpd_forbid_bare_newline = yes"}},
		{name: "override", vars: map[string]string{"POSTFIX_milter_protocol": " 4 ", "POSTFIX_smtp_helo_name": "h.example.org"},
			want: map[string]string{"milter_protocol": "milter_protocol = 4", "smtp_helo_name": "smtp_helo_name = h.example.org"}},
		{name: "override by nothing", vars: map[string]string{"POSTFIX_biff": "", "POSTFIX_foo": " "}, want: map[string]string{"biff": "biff unset", "foo": "foo unset"}},
		{name: "no milter", vars: map[string]string{"POSTFIX_smtpd_milters": ""}, want: map[string]string{"smtpd_milters": "smtpd_milters unset"}, warning: "mail leaves unsigned"},
		{name: "other milter", vars: map[string]string{"POSTFIX_smtpd_milters": "inet:x:1"}, want: map[string]string{"smtpd_milters": "smtpd_milters = inet:x:1"}, warning: "POSTFIX_smtpd_milters=inet:x:1 is not inet:signpostd:8891"},
		{name: "same milter", vars: map[string]string{"POSTFIX_smtpd_milters": "inet:signpostd:8891"}},
		{name: "milter on a socket", request: Request{Milter: "unix:/run/signpost/milter"}, want: map[string]string{"smtpd_milters": "smtpd_milters = unix:/run/signpost/milter"}},
		{name: "milter in the queue directory", request: Request{Milter: "unix:signpost/milter"}, want: map[string]string{"smtpd_milters": "smtpd_milters = unix:signpost/milter"}},
		{name: "accept", vars: map[string]string{"POSTFIX_milter_default_action": "accept"}, warning: "unsigned while signpostd is down"},
		{name: "service of Kubernetes", vars: map[string]string{"POSTFIX_PORT_25_TCP_ADDR": "10.0.0.1"}, want: map[string]string{"PORT_25_TCP_ADDR": ""}, warning: "Kubernetes sets it"},
		{name: "port of Kubernetes", vars: map[string]string{"POSTFIX_PORT": "tcp://10.0.0.1:25"}, want: map[string]string{"PORT": ""}, warning: "Kubernetes sets it"},
		{name: "named port of Kubernetes", vars: map[string]string{"POSTFIX_RELAY_SERVICE_PORT_SMTP": "25"}, warning: "Kubernetes sets it"},
		{name: "upper case", vars: map[string]string{"POSTFIX_MYHOSTNAME": "x"}, want: map[string]string{"MYHOSTNAME": ""}, warning: "parameters are in lower case"},
		{name: "mail", vars: map[string]string{"POSTFIX_MAIL_PORT": "x", "POSTFIX_MAIL_PORT_25_x": "y"}, want: map[string]string{"MAIL_PORT": "", "MAIL_PORT_25_x": ""}},
		{name: "not done", vars: map[string]string{"XOAUTH2_SECRET": "hush"}, warning: "XOAUTH2_SECRET is not supported and ignored; hint: "},
		{name: "rspamd", vars: map[string]string{"RSPAMD_actions__reject": "15", "RSPAMD_PORT": "tcp://10.0.0.1:1"}, warning: "RSPAMD_actions__reject is not supported"},
		{name: "done by doing nothing", vars: map[string]string{"LOG_FORMAT": "plain", "AUTOSET_HOSTNAME": "", "DKIM_SELECTOR": "mail", "OPENDKIM_Mode": "s", "TZ": "UTC"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.machine.Exists == nil {
				test.machine = bare()
			}
			wanted, err := work(t, test.vars, test.main, test.request, test.machine)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range test.want {
				if got := wanted.shown(name); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			switch {
			case test.warning == "" && len(wanted.Warnings) > 0:
				t.Errorf("warnings %q", wanted.Warnings)
			case test.warning != "" && (len(wanted.Warnings) != 1 || !strings.Contains(finding.Text(wanted.Warnings[0]), test.warning)):
				t.Errorf("warnings %q, want one with %q", wanted.Warnings, test.warning)
			}
			for _, warning := range wanted.Warnings {
				warning := finding.Text(warning)
				if !strings.Contains(warning, "; hint: ") || strings.Contains(warning, "hush") {
					t.Errorf("warning %q", warning)
				}
			}
		})
	}
}

func TestFromVariablesErrors(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Every value that must not be shown has the word hush in it.
	relay := func(more map[string]string) map[string]string {
		vars := map[string]string{"RELAYHOST": "r.example.net", "RELAYHOST_USERNAME": "u", "RELAYHOST_PASSWORD": "hush"}
		maps.Copy(vars, more)
		return vars
	}
	senders := func(list string) map[string]string {
		return map[string]string{"ALLOWED_SENDER_DOMAINS": list}
	}
	tests := []struct {
		name    string
		vars    map[string]string
		request Request
		err     string
	}{
		{name: "no senders", vars: map[string]string{"ALLOW_EMPTY_SENDER_DOMAINS": ""}, err: "ALLOWED_SENDER_DOMAINS is not set; hint: "},
		{name: "blank senders", vars: map[string]string{"ALLOW_EMPTY_SENDER_DOMAINS": "", "ALLOWED_SENDER_DOMAINS": " \n"}, err: "ALLOWED_SENDER_DOMAINS is not set; hint: "},
		{name: "comma", vars: senders("example.org,example.com"), err: `ALLOWED_SENDER_DOMAINS: "example.org,example.com" has a comma; hint: `},
		{name: "wildcard", vars: senders("*.example.org"), err: `ALLOWED_SENDER_DOMAINS: invalid domain name "*.example.org"; hint: list the domain alone and set SIGNPOST_SUBDOMAINS=true`},
		{name: "address", vars: senders("a@example.org"), err: `ALLOWED_SENDER_DOMAINS: invalid domain name "a@example.org": character '@' is not allowed; hint: `},
		{name: "one label", vars: senders("localhost"), err: `ALLOWED_SENDER_DOMAINS: invalid domain name "localhost": it has only one label; hint: `},
		{name: "number", vars: senders("192.0.2.1"), err: `ALLOWED_SENDER_DOMAINS: invalid domain name "192.0.2.1": it ends in a number; hint: `},
		{name: "empty label", vars: senders("a..org"), err: `ALLOWED_SENDER_DOMAINS: invalid domain name "a..org": it has an empty label; hint: `},
		{name: "null sender", vars: senders("<>"), err: `ALLOWED_SENDER_DOMAINS: invalid domain name "<>": `},
		{name: "host", vars: map[string]string{"POSTFIX_myhostname": "a b"}, err: `POSTFIX_myhostname: invalid host name "a b"; hint: `},
		{name: "host of digits", vars: map[string]string{"POSTFIX_myhostname": "123"}, err: `POSTFIX_myhostname: invalid host name "123"; hint: `},
		{name: "address as host", vars: map[string]string{"HOSTNAME": "192.0.2.1"}, err: `HOSTNAME: invalid host name "192.0.2.1"; hint: `},
		{name: "hyphen at the end of a label", vars: map[string]string{"HOSTNAME": "a-.example.org"}, err: `HOSTNAME: invalid host name "a-.example.org"; hint: `},
		{name: "long label", vars: map[string]string{"HOSTNAME": strings.Repeat("a", 64) + ".org"}, err: "HOSTNAME: invalid host name "},
		{name: "size", vars: map[string]string{"MESSAGE_SIZE_LIMIT": "10M"}, err: `MESSAGE_SIZE_LIMIT="10M" must be a number of bytes; hint: `},
		{name: "level", vars: map[string]string{"RELAYHOST_TLS_LEVEL": "yes"}, err: `RELAYHOST_TLS_LEVEL="yes" is not a TLS level; hint: `},
		{name: "masquerade", vars: map[string]string{"MASQUERADED_DOMAINS": "a_b.org"}, err: `MASQUERADED_DOMAINS: invalid domain name "a_b.org": `},
		{name: "networks", vars: map[string]string{"MYNETWORKS": "10.0.0.0/8\n192.0.2.0/24"}, err: "MYNETWORKS has more than one line; hint: "},
		{name: "relay", vars: map[string]string{"RELAYHOST": "smtp://u:hush@r.example.net"}, err: "RELAYHOST is not written as Postfix wants it; hint: "},
		{name: "relay without a host", vars: map[string]string{"RELAYHOST": ":587"}, err: "RELAYHOST is not written as Postfix wants it; hint: "},
		{name: "relay without a port", vars: map[string]string{"RELAYHOST": "r.example.net:"}, err: "RELAYHOST is not written as Postfix wants it; hint: "},
		{name: "relay in open brackets", vars: map[string]string{"RELAYHOST": "[r.example.net:587"}, err: "RELAYHOST is not written as Postfix wants it; hint: "},
		{name: "relay of brackets", vars: map[string]string{"RELAYHOST": "[]:587"}, err: "RELAYHOST is not written as Postfix wants it; hint: "},
		{name: "relay of commas", vars: map[string]string{"RELAYHOST": ","}, err: "RELAYHOST names no relay; hint: "},
		{name: "other relay", vars: relay(map[string]string{"SASL_RELAYHOST": "a#hush"}), err: "SASL_RELAYHOST is not written as Postfix wants it; hint: "},
		{name: "no password", vars: relay(map[string]string{"RELAYHOST_PASSWORD": ""}), err: "RELAYHOST_USERNAME is set but there is no password; hint: "},
		{name: "no user", vars: relay(map[string]string{"RELAYHOST_USERNAME": ""}), err: "the password of the relay is set but not the user; hint: "},
		{name: "user", vars: relay(map[string]string{"RELAYHOST_USERNAME": "hush:a"}), err: "RELAYHOST_USERNAME has a colon"},
		{name: "password", vars: relay(map[string]string{"RELAYHOST_PASSWORD": "hush "}), err: "the password of the relay begins or ends in white space"},
		{name: "password with a newline", vars: relay(map[string]string{"RELAYHOST_PASSWORD": "hush\nx"}), err: "the password of the relay begins or ends in white space"},
		{name: "two passwords", vars: relay(map[string]string{"RELAYHOST_PASSWORD_FILE": "/f"}), err: "both RELAYHOST_PASSWORD and RELAYHOST_PASSWORD_FILE are set; hint: "},
		{name: "password file", vars: map[string]string{"RELAYHOST_PASSWORD_FILE": "/nowhere/f"}, err: "RELAYHOST_PASSWORD_FILE: open /nowhere/f: no such file or directory; hint: "},
		{name: "empty password file", vars: map[string]string{"RELAYHOST_PASSWORD_FILE": empty}, err: "RELAYHOST_PASSWORD_FILE: " + empty + " is empty; hint: "},
		{name: "parameter", vars: map[string]string{"POSTFIX_my host": "hush"}, err: `POSTFIX_my host: invalid parameter name "my host"; hint: `},
		{name: "no parameter", vars: map[string]string{"POSTFIX_a$b": "hush"}, err: `POSTFIX_a$b: invalid parameter name "a$b"; hint: `},
		{name: "newline", vars: map[string]string{"POSTFIX_smtp_x": "hush\nsmtpd_relay_restrictions = permit"}, err: "POSTFIX_smtp_x has more than one line; hint: "},
		{name: "milter of OpenDKIM", request: Request{Milter: "inet:8891@dkim"}, err: `milter "inet:8891@dkim" is written as OpenDKIM does; hint: Postfix wants inet:dkim:8891`},
		{name: "milter without port", request: Request{Milter: "inet:dkim"}, err: `invalid milter address "inet:dkim"; hint: `},
		{name: "milter with port 0", request: Request{Milter: "inet:dkim:0"}, err: `invalid milter address "inet:dkim:0"; hint: `},
		{name: "two milters", request: Request{Milter: "inet:a:1, inet:b:1"}, err: `invalid milter address "inet:a:1, inet:b:1"; hint: `},
		{name: "milter without a path", request: Request{Milter: "unix:"}, err: `invalid milter address "unix:"; hint: `},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := work(t, test.vars, "", test.request, bare())
			if err == nil || !strings.HasPrefix(finding.Text(err), test.err) {
				t.Fatalf("error is %v, want %s", err, test.err)
			}
			if strings.Contains(finding.Text(err), "hush") || strings.Contains(finding.Text(err), "\n") || !strings.Contains(finding.Text(err), "; hint: ") {
				t.Errorf("error is %q", err)
			}
		})
	}
}

func TestSenderMap(t *testing.T) {
	t.Parallel()
	tests := []struct {
		list       string
		subdomains bool
		want       string
	}{
		{"example.org", false, "<>\tOK\nexample.org\tOK\n"},
		{" b.example\t\nEXAMPLE.org. example.org ", false, "<>\tOK\nb.example\tOK\nexample.org\tOK\n"},
		{"example.org", true, "<>\tOK\nexample.org\tOK\n.example.org\tOK\n"},
		{"BÜCHER.example", false, "<>\tOK\nxn--bcher-kva.example\tOK\nbücher.example\tOK\n"},
		{"xn--bcher-kva.example", true, "<>\tOK\nxn--bcher-kva.example\tOK\n.xn--bcher-kva.example\tOK\nbücher.example\tOK\n.bücher.example\tOK\n"},
	}
	for _, test := range tests {
		got, err := senderMap(test.list, test.subdomains)
		if err != nil {
			t.Errorf("%q: %v", test.list, err)
			continue
		}
		if _, got, _ := strings.Cut(string(got), "\n"); got != test.want {
			t.Errorf("%q: got %q, want %q", test.list, got, test.want)
		}
	}
}

func TestPasswordMap(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		vars map[string]string
		want string
	}{
		{"one", map[string]string{"RELAYHOST": "[r.example.net]:587", "RELAYHOST_PASSWORD": "a:b c#\"\\"}, "[r.example.net]:587\tu:a:b c#\"\\\n"},
		{"two", map[string]string{"RELAYHOST": "r.example.net, s.example.net", "RELAYHOST_PASSWORD": "p"}, "r.example.net\tu:p\ns.example.net\tu:p\n"},
		{"other name", map[string]string{"RELAYHOST": "r.example.net", "SASL_RELAYHOST": "s.example.net", "RELAYHOST_PASSWORD": "p"}, "s.example.net\tu:p\n"},
		{"file", map[string]string{"RELAYHOST": "r.example.net", "RELAYHOST_PASSWORD_FILE": secret}, "r.example.net\tu:from file\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.vars["RELAYHOST_USERNAME"] = "u"
			wanted, err := work(t, test.vars, "", Request{}, bare())
			if err != nil {
				t.Fatal(err)
			}
			if _, got, _ := strings.Cut(string(wanted.Password.Content), "\n"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDirThatCannotBeNamed(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"etc", "/my etc", "/a,b", "/a\nb", "/$x"} {
		if _, err := FromVariables(map[string]string{"ALLOW_EMPTY_SENDER_DOMAINS": "1"}, &postfix.MainCF{}, Request{Dir: dir, Milter: "inet:a:1"}, bare()); err == nil {
			t.Errorf("%q was taken", dir)
		}
	}
}
