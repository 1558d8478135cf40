package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/regular"
)

// tokens has the token that requests are sent with: a given one, that of a file, or that of
// a login. It renews it at two thirds of its life, in the background.
type tokens struct {
	client *client
	file   string                                 // "" for none
	login  func(context.Context) (request, error) // nil where there is none to make
	now    func() time.Time
	ctx    context.Context // of the background; ends with stop
	stop   context.CancelFunc

	mu      sync.Mutex
	token   string
	seen    os.FileInfo // of the file, when it was read
	lease   lease
	pending *attempt  // a login that is under way
	fresh   time.Time // of the last login
	busy    bool      // it is looked up or renewed
}

// lease is how long a token lives. The zero one is not known.
type lease struct {
	known     bool
	renewable bool
	first     time.Duration // its life when it was new
	expires   time.Time     // zero for never
	due       time.Time     // when it is to be renewed
}

// attempt is a login that several may wait for.
type attempt struct {
	done chan struct{}
	err  error
}

// maxToken is the largest file of a token, or of what is for a login, that is read.
const maxToken = 1 << 20

// relogin is how long after a login a refusal is believed: it is not for a token that has
// expired.
const relogin = time.Minute

func newTokens(a *address, c *client, env environment) (*tokens, error) {
	t := &tokens{client: c, now: time.Now, file: a.tokenFile}
	t.ctx, t.stop = context.WithCancel(context.Background())
	switch {
	case a.auth == "approle":
		t.login = func(context.Context) (request, error) {
			return loginRequest(a, map[string]string{"role_id": a.roleIDFile, "secret_id": a.secretIDFile}, nil)
		}
		return t, nil
	case a.auth == "kubernetes":
		t.login = func(context.Context) (request, error) {
			return loginRequest(a, map[string]string{"jwt": a.jwtFile}, map[string]string{"role": a.role})
		}
		return t, nil
	case a.layout == Mailu && t.file == "":
		// It wants none. The one that is for a Vault is not for it.
		return t, nil
	}
	if t.file == "" {
		t.file = env.get("TOKEN_FILE")
	}
	if t.file == "" {
		t.token = env.get("TOKEN")
	}
	for _, r := range t.token {
		if r <= ' ' || r > '~' {
			return nil, finding.WithHint(errors.New("VAULT_TOKEN is not a token: it has spaces or the like in it"),
				"copy it again")
		}
	}
	return t, nil
}

// loginRequest makes a login of what is in files, and of fields.
func loginRequest(a *address, files, fields map[string]string) (request, error) {
	body := map[string]string{}
	for name, value := range fields {
		body[name] = value
	}
	for name, file := range files {
		value, err := regular.Read(file, maxToken)
		if err != nil {
			return request{}, fmt.Errorf("reading %s for a login: %w", file, finding.ReadHint(err, file))
		}
		body[name] = string(bytes.TrimSpace(value))
		clear(value)
	}
	return request{method: http.MethodPost, path: "auth/" + a.authMount + "/login", body: encode(body)}, nil
}

// get returns the token to send. It waits for a login no longer than ctx.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	if err := t.readFile(); err != nil {
		t.mu.Unlock()
		return "", err
	}
	if t.login == nil || t.token != "" && t.alive() {
		t.attend()
		token := t.token
		t.mu.Unlock()
		return token, nil
	}
	wait := t.startLogin()
	t.mu.Unlock()
	select {
	case <-wait.done:
	case <-ctx.Done():
		return "", finding.WithHint(fmt.Errorf("the login is not answered in time: %w", ctx.Err()),
			"is it up, and reachable from here?")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, wait.err
}

func (t *tokens) alive() bool {
	return t.lease.expires.IsZero() || t.now().Before(t.lease.expires)
}

// readFile reads the file of the token where it has changed. While it cannot be read, the
// last token is used: an agent may be writing it.
func (t *tokens) readFile() error {
	if t.file == "" {
		return nil
	}
	info, err := os.Stat(t.file)
	if err == nil && t.seen != nil && os.SameFile(info, t.seen) && info.ModTime().Equal(t.seen.ModTime()) &&
		info.Size() == t.seen.Size() {
		return nil
	}
	var data []byte
	if err == nil {
		data, err = regular.Read(t.file, maxToken)
	}
	defer clear(data)
	token := string(bytes.TrimSpace(data))
	switch {
	case err == nil && token == "":
		err = finding.WithHint(errors.New("it is empty"), "have an agent write the token to it")
	case err != nil:
		err = finding.ReadHint(err, t.file)
	default:
		if token != t.token {
			t.token, t.lease = token, lease{}
		}
		t.seen = info
		return nil
	}
	if t.token != "" {
		return nil
	}
	return fmt.Errorf("reading the token in %s: %w", t.file, err)
}

// startLogin logs in, unless somebody does.
func (t *tokens) startLogin() *attempt {
	if t.pending != nil {
		return t.pending
	}
	a := &attempt{done: make(chan struct{})}
	t.pending = a
	go func() {
		got, err := t.logIn()
		t.mu.Lock()
		defer t.mu.Unlock()
		if err == nil {
			t.fresh, t.token, t.lease = t.now(), got.Token, lease{}
			t.live(got)
		}
		a.err, t.pending = err, nil
		close(a.done)
	}()
	return a
}

func (t *tokens) logIn() (auth, error) {
	r, err := t.login(t.ctx)
	if err != nil {
		return auth{}, err
	}
	got, err := t.authRequest(r)
	if err != nil {
		return auth{}, fmt.Errorf("logging in at %s: %w", r.path, err)
	}
	return got, nil
}

func (t *tokens) authRequest(r request) (auth, error) {
	response, err := t.client.send(t.ctx, r)
	if err != nil {
		return auth{}, err
	}
	defer clear(response.body)
	a, there, err := judge(response)
	switch {
	case err != nil:
		return auth{}, err
	case !there || a.Auth == nil || a.Auth.Token == "":
		return auth{}, finding.WithHint(errors.New("the answer has no token"), "check auth and auth_mount in the URL")
	}
	return *a.Auth, nil
}

// live notes how long the token lives from now on.
func (t *tokens) live(got auth) {
	left := time.Duration(got.Seconds) * time.Second
	l := lease{known: true, renewable: got.Renewable, first: max(left, t.lease.first)}
	if left > 0 {
		l.expires = t.now().Add(left)
		l.due = t.now().Add(left * 2 / 3)
	}
	t.lease = l
}

// attend has the background ask for the life of a token that is new, or renew one that is
// old. The caller does not wait for it.
func (t *tokens) attend() {
	due := !t.lease.known || !t.lease.due.IsZero() && !t.now().Before(t.lease.due)
	if t.busy || t.token == "" || !due {
		return
	}
	if t.lease.known && !t.lease.renewable && t.login == nil {
		return // who made it has to
	}
	// A token that was renewed as often as it may be has little life left after it.
	if t.login != nil && t.lease.known && (!t.lease.renewable || t.lease.expires.Sub(t.now()) < t.lease.first/10) {
		t.startLogin()
		return
	}
	t.busy = true
	token, known := t.token, t.lease.known
	go func() {
		var got auth
		var err error
		if known {
			got, err = t.authRequest(request{method: http.MethodPost, path: "auth/token/renew-self",
				body: []byte("{}"), token: token})
		} else {
			got, err = t.lookUp(token)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.busy = false
		switch {
		case t.token != token: // it is another one by now
		case err == nil:
			t.renewed(got, known)
		case !known:
			var no *refused
			// A token that may not ask is used as it is.
			t.lease.known = errors.As(err, &no) && no.status < http.StatusInternalServerError
		case t.login != nil:
			t.startLogin()
		default:
			t.lease.due = t.now().Add(max(time.Second, t.lease.expires.Sub(t.now())/6))
		}
	}()
}

// renewed notes the life that a token has now. One that gains little by a renewal is near
// the end of what it may live.
func (t *tokens) renewed(got auth, renewal bool) {
	first := t.lease.first
	t.live(got)
	if left := time.Duration(got.Seconds) * time.Second; renewal && t.login != nil && left < first/2 {
		t.startLogin()
	}
}

func (t *tokens) lookUp(token string) (auth, error) {
	response, err := t.client.send(t.ctx, request{method: http.MethodGet, path: "auth/token/lookup-self", token: token})
	if err != nil {
		return auth{}, err
	}
	a, there, err := judge(response)
	if err != nil || !there {
		return auth{}, err
	}
	var self struct {
		TTL       int64
		Renewable bool
	}
	err = json.Unmarshal(a.Data, &self)
	return auth{Seconds: self.TTL, Renewable: self.Renewable}, err
}

// refused reports whether a request that was refused is to be sent again, with the token of
// a new login.
func (t *tokens) refused(token string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.login == nil {
		return false
	}
	if t.token != token {
		return true // there has been one in the meantime
	}
	if t.now().Sub(t.fresh) < relogin {
		return false
	}
	t.token = ""
	return true
}

func (t *tokens) close() { t.stop() }
