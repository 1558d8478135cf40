package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A contender is a milter that is measured.
type contender struct {
	name string
	ours bool
	pure bool // and signs RSA with Go's own code
	// start runs it in a folder of its own, to sign with the keys of the
	// selectors and listen on the socket.
	start func(dir string, k keyFiles, selectors []string, socket socket) (*process, error)
	// able tells why it cannot do a case, or nothing.
	able func(selectors []string) string
	// selectors to sign with instead of those of the scenario.
	selectors []string
}

// A socket is where a milter listens.
type socket struct{ network, address string }

// milter is the socket in the notation of Postfix and most milters.
func (s socket) milter() string {
	if s.network == "unix" {
		return "unix:" + s.address
	}
	return "inet:" + s.address
}

// libmilter is the socket in the notation of libmilter.
func (s socket) libmilter() string {
	if s.network == "unix" {
		return "local:" + s.address
	}
	host, port, _ := strings.Cut(s.address, ":")
	return "inet:" + port + "@" + host
}

// nothingName is the milter that does nothing.
const nothingName = "nothing"

// addingName is a milter that adds a field as long as a signature, and does nothing
// else: Postfix has more to do when a message changes. One that signs takes this and
// the signature at least.
const addingName = "adds-a-field"

// itself is a milter that does not sign, which is this program itself.
func itself(name string) contender {
	return contender{name: name, start: func(dir string, _ keyFiles, _ []string, s socket) (*process, error) {
		return startProcess(filepath.Join(dir, "log"), "/proc/self/exe", name, s.network, s.address)
	}}
}

// behindPostfix are those that are measured through Postfix.
func (b *bench) behindPostfix() []contender {
	return append([]contender{{name: noMilter}, itself(addingName)}, b.contenders...)
}

// signpostd is a build of ours, with one key or with both.
func signpostd(name, program string) contender {
	pure := said(`(crypto/rsa)`, program, "--version") != unknown
	return contender{name: name, ours: true, pure: pure, start: func(dir string, k keyFiles, selectors []string, s socket) (*process, error) {
		of := filepath.Join(dir, "keys", domainMark)
		if err := os.MkdirAll(of, 0o755); err != nil {
			return nil, err
		}
		for selector, file := range map[string]string{rsaKey: k.rsa, ed25519Key: k.ed25519} {
			if slices.Contains(selectors, selector) {
				if err := os.Symlink(file, filepath.Join(of, selector+".private")); err != nil {
					return nil, err
				}
			}
		}
		return startSignpostd(filepath.Join(dir, "log"), program, filepath.Join(dir, "keys"), s)
	}}
}

// startSignpostd runs a build of ours. It does not ask the DNS, where none of
// the keys is, and nor do the others; builds that cannot ask lack the option.
func startSignpostd(log, program, keys string, s socket, more ...string) (*process, error) {
	args := append(more, "--keys="+keys, "--listen="+s.milter())
	if said(`(--dns-check) `, program, "--help") != unknown {
		args = append(args, "--dns-check=off")
	}
	return startProcess(log, program, args...)
}

// openDKIM has the settings of the images that run it, but for the
// canonicalization.
func openDKIM() contender {
	return contender{name: "opendkim", able: oneSignature, start: func(dir string, k keyFiles, selectors []string, s socket) (*process, error) {
		file, algorithm := k.rsa, "rsa-sha256"
		if selectors[0] == ed25519Key {
			file, algorithm = k.ed25519, "ed25519-sha256"
		}
		conf := filepath.Join(dir, "opendkim.conf")
		err := writeLines(conf,
			"Mode s",
			"Canonicalization relaxed/relaxed",
			"SignatureAlgorithm "+algorithm,
			"Domain "+domainMark,
			"Selector "+selectors[0],
			"KeyFile "+file,
			"InternalHosts 127.0.0.1",
			"RequireSafeKeys no",
			"Socket "+s.libmilter(),
			"UMask 000",
			"Syslog yes",
			"SyslogSuccess yes")
		if err != nil {
			return nil, err
		}
		return startProcess(filepath.Join(dir, "log"), "opendkim", "-f", "-x", conf)
	}}
}

// rspamd only signs: no rules, no scanning, a worker for each core.
func rspamd() contender {
	return contender{name: "rspamd", start: func(dir string, k keyFiles, selectors []string, s socket) (*process, error) {
		var signers []string
		for _, selector := range selectors {
			file := map[string]string{rsaKey: k.rsa, ed25519Key: k.seed}[selector] // it takes no PEM for Ed25519
			signers = append(signers, fmt.Sprintf(`{ selector = "%s"; path = "%s"; }`, selector, file))
		}
		return startRspamd(dir, s, `domain { "`+domainMark+`" { selectors [ `+strings.Join(signers, ", ")+` ] } }`)
	}}
}

// startRspamd runs it in a folder, with further settings of dkim_signing.
func startRspamd(dir string, s socket, signing string) (*process, error) {
	conf := filepath.Join(dir, "rspamd.conf")
	listen := s.address
	if s.network == "unix" {
		listen += " mode=0666"
	}
	err := writeLines(conf,
		`options {`,
		`  filters = "dkim";`,
		`  pidfile = "`+dir+`/rspamd.pid";`,
		`  tempdir = "`+dir+`";`,
		`  control_socket = "`+dir+`/control.sock mode=0600";`,
		`  history_file = "`+dir+`/history";`,
		`  stats_file = "`+dir+`/stats";`,
		`  dynamic_conf = "`+dir+`/dynamic";`,
		`  local_addrs = "127.0.0.0/8";`,
		`  dns { nameserver = ["127.0.0.1"]; }`,
		`}`,
		`logging { type = "file"; filename = "`+dir+`/rspamd.log"; level = "info"; }`,
		`worker "rspamd_proxy" {`,
		`  bind_socket = "`+listen+`";`,
		`  milter = yes; timeout = 120s; count = `+fmt.Sprint(runtime.NumCPU())+`;`,
		`  upstream "local" { default = yes; self_scan = yes; }`,
		`}`,
		`modules { path = "/usr/share/rspamd/plugins/dkim_signing.lua"; }`,
		`dkim_signing {`,
		`  use_esld = false; allow_hdrfrom_mismatch = true; check_pubkey = false;`,
		`  `+signing,
		`}`)
	if err != nil {
		return nil, err
	}
	return startProcess(filepath.Join(dir, "log"), "rspamd", "-f", "-i", "-c", conf, "--var=DBDIR="+dir, "--var=RUNDIR="+dir)
}

// dkimpy is dkimpy-milter, which holds whole messages in memory.
func dkimpy() contender {
	return contender{name: "dkimpy", start: func(dir string, k keyFiles, selectors []string, s socket) (*process, error) {
		lines := []string{
			"Mode s",
			"Canonicalization relaxed/relaxed",
			"Domain " + domainMark,
			"InternalHosts 127.0.0.1",
			"Socket " + s.libmilter(),
			"UMask 000",
			"UserID root",
			"PidFile " + dir + "/pid",
			"Syslog yes",
			"SyslogSuccess yes",
		}
		for _, selector := range selectors {
			if selector == rsaKey {
				lines = append(lines, "Selector "+selector, "KeyFile "+k.rsa)
			} else {
				lines = append(lines, "SelectorEd25519 "+selector, "KeyFileEd25519 "+k.seed)
			}
		}
		conf := filepath.Join(dir, "dkimpy.conf")
		if err := writeLines(conf, lines...); err != nil {
			return nil, err
		}
		return startProcess(filepath.Join(dir, "log"), "/usr/bin/dkimpy-milter", conf)
	}}
}

func oneSignature(selectors []string) string {
	if len(selectors) > 1 {
		return "makes one signature a message"
	}
	return ""
}

func writeLines(path string, lines ...string) error {
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}
