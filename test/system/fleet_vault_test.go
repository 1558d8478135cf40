package system

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"signpost/keystore/vault/vaulttest"
)

// A vaultStore is an imitation of Vault, with keys as rspamd has them.
type vaultStore struct {
	t      testing.TB
	server *vaulttest.Server
	url    string
	token  string // file
}

func startVault(f *fleet) keyStore {
	f.t.Helper()
	s := &vaultStore{t: f.t, server: vaulttest.New(), token: filepath.Join(f.dir, "vault-token")}
	s.server.Mount("secret", 2)
	s.server.Token("hvs.fleet", vaulttest.Policy{
		"secret/data/dkim/*": {"create", "read", "update"}, "secret/metadata/dkim/*": {"read", "list", "delete"},
		"secret/metadata/dkim": {"list"},
	}, vaulttest.Lease{})
	if err := os.WriteFile(s.token, []byte("hvs.fleet\n"), 0o644); err != nil {
		f.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", f.network.Outside+":8200")
	if err != nil {
		f.t.Fatal(err)
	}
	web := &http.Server{Handler: s.server}
	go web.Serve(listener)
	f.t.Cleanup(func() {
		web.Close()
		for _, what := range s.server.Strange() {
			f.t.Errorf("a request was not as the API of Vault has it: %s", what)
		}
	})
	s.url = "vault:http://" + f.network.Outside + ":8200/secret/dkim"
	return s
}

func (s *vaultStore) settings() (args, env []string) {
	return []string{"--keys=" + s.url + "?layout=rspamd&token_file=" + s.token}, nil
}

// put writes keys as `rspamadm vault` does.
func (s *vaultStore) put(keys ...storedKey) {
	s.t.Helper()
	type selector struct {
		Selector string `json:"selector"`
		Domain   string `json:"domain"`
		Key      string `json:"key"`
	}
	for _, k := range keys {
		var secret struct {
			Selectors []json.RawMessage `json:"selectors"`
		}
		path := "secret/dkim/" + k.domain
		if before, _ := s.server.Get(path); before != nil {
			if err := json.Unmarshal(before, &secret); err != nil {
				s.t.Fatal(err)
			}
		}
		der, _ := pem.Decode(k.pem)
		text, err := json.Marshal(selector{k.selector, k.domain, base64.StdEncoding.EncodeToString(der.Bytes)})
		if err != nil {
			s.t.Fatal(err)
		}
		secret.Selectors = append(secret.Selectors, text)
		whole, err := json.Marshal(secret)
		if err != nil {
			s.t.Fatal(err)
		}
		s.server.Put(path, string(whole))
	}
}

// fail seals the store for a while.
func (s *vaultStore) fail(meanwhile func()) {
	s.server.Set(vaulttest.Faults{Sealed: true})
	meanwhile()
	s.server.Set(vaulttest.Faults{})
}
