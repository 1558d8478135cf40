package vault

import (
	"encoding/json"
	"testing"
	"time"
)

// documented are answers in the form that the documentation of the servers has them in, and
// what they mean.
var documented = []struct {
	what, source string
	status       int
	body         string
	there        bool
	failed       bool
	check        func(t *testing.T, a answer)
}{
	{
		"a secret of KV 2", "https://openbao.org/api-docs/secret/kv/kv-v2/#read-secret-version", 200,
		`{"data": {"data": {"foo": "bar"}, "metadata": {"created_time": "2018-03-22T02:24:06.945319214Z",
			"custom_metadata": {"owner": "jdoe", "mission_critical": "false"}, "deletion_time": "", "destroyed": false, "version": 2}}}`,
		true, false, func(t *testing.T, a answer) {
			var v version
			created := time.Date(2018, 3, 22, 2, 24, 6, 945319214, time.UTC)
			if err := json.Unmarshal(a.Data, &v); err != nil || string(v.Data) != `{"foo": "bar"}` || v.Metadata.Version != 2 || !v.Metadata.Created.Equal(created) {
				t.Errorf("%+v %v", v, err)
			}
		},
	},
	{
		"a deleted version", "https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version", 404,
		`{"request_id": "a", "lease_id": "", "renewable": false, "lease_duration": 0, "data": {"data": null, "metadata":
			{"created_time": "2018-03-22T02:24:06.945319214Z", "custom_metadata": null, "deletion_time": "2018-03-22T02:36:43.986212308Z",
			"destroyed": false, "version": 2}}, "wrap_info": null, "warnings": null, "auth": null}`,
		false, false, nil,
	},
	{
		"a destroyed version", "https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#destroy-secret-versions", 404,
		`{"data": {"data": null, "metadata": {"created_time": "2018-03-22T02:24:06.945319214Z", "deletion_time": "", "destroyed": true, "version": 2}}}`,
		false, false, nil,
	},
	{
		"a list", "https://openbao.org/api-docs/secret/kv/kv-v2/#list-secrets", 200,
		`{"data": {"keys": ["foo", "foo/"]}}`, true, false, nil,
	},
	{
		"a secret of KV 1", "https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v1#read-secret", 200,
		`{"auth": null, "data": {"foo": "bar", "ttl": "1h"}, "lease_duration": 3600, "lease_id": "", "renewable": false}`,
		true, false, nil,
	},
	{
		"nothing there", "https://developer.hashicorp.com/vault/api-docs#error-response", 404,
		`{"errors": []}`, false, false, nil,
	},
	{
		"an error", "https://developer.hashicorp.com/vault/api-docs#error-response", 400,
		`{"errors": ["message", "another message"]}`, false, true, nil,
	},
	{
		"a sealed server", "https://developer.hashicorp.com/vault/api-docs#http-status-codes", 503,
		`{"errors": ["Vault is sealed"]}`, false, true, nil,
	},
	{
		"a login by AppRole", "https://openbao.org/api-docs/auth/approle/#login-with-approle", 200,
		`{"auth": {"renewable": true, "lease_duration": 1200, "metadata": null, "token_policies": ["default"],
			"accessor": "fd6c9a00-d2dc-3b11-0be5-af7ae0e1d374", "client_token": "5b1a0318-679c-9c45-e5c6-d1b9a9035d49"},
			"warnings": null, "wrap_info": null, "data": null, "lease_duration": 0, "renewable": false, "lease_id": ""}`,
		true, false, func(t *testing.T, a answer) {
			if a.Auth == nil || *a.Auth != (auth{"5b1a0318-679c-9c45-e5c6-d1b9a9035d49", 1200, true}) {
				t.Errorf("%+v", a.Auth)
			}
		},
	},
	{
		"a login by Kubernetes", "https://openbao.org/api-docs/auth/kubernetes/#login", 200,
		`{"auth": {"client_token": "62b858f9-529c-6b26-e0b8-0457b6aacdb4", "accessor": "afa306d0", "policies": ["default"],
			"metadata": {"role": "test"}, "lease_duration": 2764800, "renewable": true}}`,
		true, false, func(t *testing.T, a answer) {
			if a.Auth == nil || *a.Auth != (auth{"62b858f9-529c-6b26-e0b8-0457b6aacdb4", 2764800, true}) {
				t.Errorf("%+v", a.Auth)
			}
		},
	},
}

func TestDocumentedAnswers(t *testing.T) {
	for _, test := range documented {
		t.Run(test.what, func(t *testing.T) {
			a, there, err := judge(response{status: test.status, body: []byte(test.body)})
			if there != test.there || (err != nil) != test.failed {
				t.Errorf("there %v, error %v: see %s", there, err, test.source)
			}
			if test.check != nil {
				test.check(t, a)
			}
		})
	}
}
