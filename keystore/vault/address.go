package vault

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"signpost/keystore/finding"
)

// Layout is how keys lie below the path of a store.
type Layout string

// The layouts. Auto reads those of rspamd and KumoMTA at once.
const (
	Auto     Layout = ""
	Rspamd   Layout = "rspamd"  // <path>/<domain> with a list of selectors
	KumoMTA  Layout = "kumomta" // <path>/<domain>/<selector> with a field for the key
	Mailu    Layout = "mailu"   // as rspamd's, read only and without a list
	mailuAPI        = "/internal/rspamd/vault"
)

// address is what the URL of a store says.
type address struct {
	base  url.URL // scheme, host and what is before /v1/
	path  string  // of the keys, with the mount first: "secret/dkim"
	mount string  // where ?mount= says it
	kv    int     // where ?kv= says it, else 0

	layout   Layout
	selector string // of keys that lie at <path>/<domain>, without any

	auth, authMount          string
	role, jwtFile            string
	roleIDFile, secretIDFile string
	tokenFile, namespace     string
	ca, cert, key            string
	serverName               string
}

// parameters are those of the URL, and where their values go.
func (a *address) parameters() map[string]*string {
	return map[string]*string{
		"mount": &a.mount, "layout": (*string)(&a.layout), "selector": &a.selector,
		"auth": &a.auth, "auth_mount": &a.authMount, "role": &a.role, "jwt_file": &a.jwtFile,
		"role_id_file": &a.roleIDFile, "secret_id_file": &a.secretIDFile,
		"token_file": &a.tokenFile, "namespace": &a.namespace,
		"ca": &a.ca, "cert": &a.cert, "key": &a.key, "server_name": &a.serverName, "kv": nil,
	}
}

const example = "an example is vault:https://vault.example:8200/secret/dkim"

// parseAddress reads a URL as --keys has it. Its errors do not show passwords.
func parseAddress(text string, env environment) (*address, error) {
	rest, ok := strings.CutPrefix(text, "vault:")
	if !ok {
		return nil, finding.WithHint(errors.New("the URL of a Vault must begin with vault: before https"), example)
	}
	if !strings.HasPrefix(rest, "http:") && !strings.HasPrefix(rest, "https:") {
		server := env.get("ADDR")
		switch trimmed := strings.TrimPrefix(rest, "//"); {
		case trimmed != rest && !strings.HasPrefix(trimmed, "/"):
			return nil, finding.WithHint(errors.New("the URL of a Vault does not say http or https"), example)
		case server == "":
			return nil, finding.WithHint(errors.New("the URL names no server, and VAULT_ADDR is not set"),
				"set VAULT_ADDR=https://vault.example:8200, or write it into the URL: %s", example)
		default:
			rest = strings.TrimRight(server, "/") + "/" + strings.TrimLeft(trimmed, "/")
		}
	}
	u, err := url.Parse(rest)
	switch {
	case err != nil: // which may show a password
		return nil, finding.WithHint(errors.New("invalid URL of a Vault"), example)
	case u.User != nil:
		return nil, finding.WithHint(errors.New("the URL of a Vault has a user or password"),
			"put the token into a file and give ?token_file=PATH, or set VAULT_TOKEN")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, finding.WithHint(fmt.Errorf("a Vault is not reached by %q", u.Scheme), "use https")
	case u.Hostname() == "":
		return nil, finding.WithHint(errors.New("the URL of a Vault names no server"), example)
	case u.Fragment != "":
		return nil, finding.WithHint(errors.New("the URL of a Vault has a #"), "write %%23 for one in a name")
	}
	a := &address{base: url.URL{Scheme: u.Scheme, Host: u.Host}}
	if err := a.query(u.RawQuery); err != nil {
		return nil, err
	}
	if err := a.places(u.Path); err != nil {
		return nil, err
	}
	return a, a.check()
}

func (a *address) query(text string) error {
	values, err := url.ParseQuery(text)
	if err != nil {
		return finding.WithHint(errors.New("the parameters of the URL are not well formed"), example)
	}
	known := a.parameters()
	for name, value := range values {
		into, ok := known[name]
		switch {
		case name == "token" || name == "secret_id" || name == "jwt":
			return finding.WithHint(fmt.Errorf("the URL has a secret, as %s", name),
				"put it into a file and give %s_file=PATH", name)
		case !ok:
			names := make([]string, 0, len(known))
			for n := range known {
				names = append(names, n)
			}
			slices.Sort(names)
			if near := finding.Nearest(name, names, 2); near != "" {
				return finding.WithHint(fmt.Errorf("unknown parameter %q of the URL of a Vault", name), "%s?", near)
			}
			return finding.WithHint(fmt.Errorf("unknown parameter %q of the URL of a Vault", name),
				"one of %s", strings.Join(names, ", "))
		case len(value) > 1:
			return finding.WithHint(fmt.Errorf("the URL of a Vault has %s %d times", name, len(value)), "give it once")
		case name == "kv":
			if a.kv, err = strconv.Atoi(value[0]); err != nil || a.kv < 1 || a.kv > 2 {
				return finding.WithHint(fmt.Errorf("kv=%q is no version of a KV secrets engine", value[0]), "1 or 2")
			}
		default:
			*into = value[0]
		}
	}
	return nil
}

// places divides the path of the URL.
func (a *address) places(path string) error {
	path = strings.Trim(path, "/")
	for segment := range strings.SplitSeq(path, "/") {
		if (segment == "" || segment == "." || segment == "..") && path != "" {
			return finding.WithHint(fmt.Errorf("the path %q of the URL has a part %q", path, segment), example)
		}
	}
	if a.layout == Mailu {
		// As vault_url and vault_path of rspamd, with or without the v1 between them.
		base, last := "", path
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			base, last = "/"+path[:i], path[i+1:]
		}
		if path == "" {
			base, last = mailuAPI, "dkim"
		}
		a.base.Path, a.path, a.mount, a.kv = strings.TrimSuffix(base, "/v1"), last, last, 1
		return nil
	}
	if path == "" {
		return finding.WithHint(errors.New("the URL of a Vault does not say where the keys are"), example)
	}
	a.path, a.mount = path, strings.Trim(a.mount, "/")
	if a.mount != "" && !within(path, a.mount) {
		return finding.WithHint(fmt.Errorf("the path %q of the URL is not in the mount %q", path, a.mount),
			"write vault:https://vault.example:8200/%s/dkim?mount=%s", a.mount, a.mount)
	}
	return nil
}

// check finds parameters that do not fit together.
func (a *address) check() error {
	switch a.layout {
	case Auto, Rspamd, KumoMTA, Mailu:
	case "auto":
		a.layout = Auto
	default:
		return finding.WithHint(fmt.Errorf("unknown layout %q", a.layout),
			"one of rspamd, kumomta, mailu; without it, what is found")
	}
	need := func(values ...string) error {
		for i := 0; i < len(values); i += 2 {
			if values[i+1] == "" {
				return finding.WithHint(fmt.Errorf("auth=%s needs %s", a.auth, values[i]), "add &%s=… to the URL", values[i])
			}
		}
		return nil
	}
	switch a.auth {
	case "":
		return nil
	case "approle":
		if a.authMount == "" {
			a.authMount = "approle"
		}
		return need("role_id_file", a.roleIDFile, "secret_id_file", a.secretIDFile)
	case "kubernetes":
		if a.authMount == "" {
			a.authMount = "kubernetes"
		}
		if a.jwtFile == "" {
			a.jwtFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"
		}
		return need("role", a.role)
	}
	return finding.WithHint(fmt.Errorf("unknown auth %q", a.auth), "approle or kubernetes; without it, a token is needed")
}

// name is the store for people, without parameters.
func (a *address) name() string {
	return "vault:" + a.base.String() + "/" + a.path
}

// environment are variables; those of OpenBao come first.
type environment func(string) string

func (env environment) get(name string) string {
	if value := env("BAO_" + name); value != "" {
		return value
	}
	return env("VAULT_" + name)
}
