package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"signpost/keystore/finding"
)

const (
	// most is how many requests of one Read are under way at once.
	most = 16
	// patience bounds a request, whatever its caller has.
	patience = 30 * time.Second
	// maxAnswer bounds an answer: a list of a million domains, or so.
	maxAnswer = 64 << 20
	// maxRedirects is one for a standby, and one for a load balancer before it.
	maxRedirects = 2
)

// client speaks HTTP with a server.
type client struct {
	base      url.URL
	namespace string
	http      *http.Client
	// Of a client certificate; they are read again for each connection.
	certFile, keyFile string
}

func newClient(a *address, env environment) (*client, error) {
	c := &client{base: a.base, namespace: a.namespace}
	config, err := c.tlsConfig(a, env)
	if err != nil {
		return nil, err
	}
	if c.namespace == "" {
		c.namespace = env.get("NAMESPACE")
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: config, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second,
			MaxIdleConnsPerHost: most, MaxIdleConns: 2 * most,
		},
		// They are followed where the token may go: see send.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// tlsConfig is what the URL says, else the variables that all clients of Vault know.
func (c *client) tlsConfig(a *address, env environment) (*tls.Config, error) {
	or := func(value, variable string) string {
		if value == "" {
			return env.get(variable)
		}
		return value
	}
	if skip := env.get("SKIP_VERIFY"); skip != "" {
		if off, err := strconv.ParseBool(skip); err != nil || off {
			return nil, finding.WithHint(
				fmt.Errorf("VAULT_SKIP_VERIFY=%s would give the token and the keys to whoever answers", skip),
				"remove it, and set VAULT_CACERT to the certificate of the CA")
		}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: or(a.serverName, "TLS_SERVER_NAME")}
	var files []string
	if file := or(a.ca, "CACERT"); file != "" {
		files = []string{file}
	} else if dir := env.get("CAPATH"); dir != "" {
		var err error
		if files, err = filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) == 0 {
			return nil, finding.WithHint(fmt.Errorf("no certificate in %s", dir),
				"set VAULT_CAPATH to a directory with those of CAs")
		}
	}
	if files != nil {
		config.RootCAs = x509.NewCertPool()
		found := false
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil && len(files) == 1 {
				return nil, fmt.Errorf("reading the certificate of the CA, %s: %w", file, finding.ReadHint(err, file))
			}
			found = config.RootCAs.AppendCertsFromPEM(data) || found
		}
		if !found {
			return nil, finding.WithHint(fmt.Errorf("no certificate in %s", strings.Join(files, ", ")),
				"give the certificate of the CA as PEM")
		}
	}
	cert, key := or(a.cert, "CLIENT_CERT"), or(a.key, "CLIENT_KEY")
	c.certFile, c.keyFile = cert, key
	if cert == "" && key == "" {
		return config, nil
	}
	if cert == "" || key == "" {
		return nil, finding.WithHint(errors.New("there is only one of a client certificate and its key"),
			"set both VAULT_CLIENT_CERT and VAULT_CLIENT_KEY")
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate %s: %w", cert, finding.ReadHint(err, cert))
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	// Such certificates are short-lived: each connection has the one of its time.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return config, nil
}

// request is what is asked of a server.
type request struct {
	method string
	path   string // below /v1/
	query  url.Values
	body   []byte // JSON; it is wiped when it was sent
	token  string
}

// response is an answer that has arrived whole.
type response struct {
	status int
	body   []byte
	after  string // Retry-After
}

// send sends a request, and again to the node that a standby names. The token goes to no
// other place of a server, and never from https to http.
func (c *client) send(ctx context.Context, r request) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer clear(r.body)
	target := c.base
	target.Path += "/v1/" + r.path
	target.RawQuery = r.query.Encode()
	for redirects := 0; ; redirects++ {
		answer, location, err := c.once(ctx, r, &target)
		if err != nil || location == "" {
			return answer, err
		}
		to, err := target.Parse(location)
		switch {
		case err != nil || redirects == maxRedirects:
			return answer, finding.WithHint(fmt.Errorf("it redirects and redirects, to %.200q", location),
				"set api_addr of each node to its own address")
		case target.Scheme == "https" && to.Scheme != "https":
			return answer, finding.WithHint(fmt.Errorf("it redirects from https to %q", to.Scheme+"://"+to.Host),
				"set api_addr of each node to an https address")
		case to.Path != target.Path || to.User != nil || to.Scheme != "https" && to.Scheme != "http":
			return answer, finding.WithHint(fmt.Errorf("it redirects to %.200q, as a Vault does not", to.Redacted()),
				"is there a proxy or a login page before it?")
		}
		target.Scheme, target.Host = to.Scheme, to.Host
	}
}

// once sends a request to one server. The location is that of a redirect.
func (c *client) once(ctx context.Context, r request, target *url.URL) (answer response, location string, err error) {
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		return answer, "", err
	}
	req.Header.Set("X-Vault-Request", "true")
	if r.token != "" {
		req.Header.Set("X-Vault-Token", r.token)
	}
	if c.namespace != "" {
		req.Header.Set("X-Vault-Namespace", c.namespace)
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer, "", unreachable(ctx, err)
	}
	defer res.Body.Close()
	answer = response{status: res.StatusCode, after: res.Header.Get("Retry-After")}
	if answer.body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1)); err != nil {
		clear(answer.body)
		return answer, "", unreachable(ctx, fmt.Errorf("the answer is cut off: %w", err))
	}
	if len(answer.body) > maxAnswer {
		clear(answer.body)
		return answer, "", fmt.Errorf("the answer has more than %d MiB", maxAnswer>>20)
	}
	switch answer.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		location = res.Header.Get("Location")
	}
	return answer, location, nil
}

// unreachable adds a hint to an error of the connection.
func unreachable(ctx context.Context, err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err // the URL is in what is said around it
	}
	var unknown x509.UnknownAuthorityError
	var other x509.HostnameError
	var plain tls.RecordHeaderError
	switch {
	case ctx.Err() != nil:
		return finding.WithHint(fmt.Errorf("it does not answer in time: %w", ctx.Err()),
			"is it up, and reachable from here?")
	case errors.As(err, &unknown):
		return finding.WithHint(err, "set VAULT_CACERT, or ?ca= in the URL, to the certificate of its CA")
	case errors.As(err, &other):
		return finding.WithHint(err, "use a name of the certificate, or set VAULT_TLS_SERVER_NAME to one")
	case errors.As(err, &plain), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return finding.WithHint(err, "it does not speak TLS there: check the port, or use vault:http://")
	}
	return finding.WithHint(err, "is it up, and reachable from here?")
}

// encode makes the body of a request.
func encode(what any) []byte {
	body, err := json.Marshal(what)
	if err != nil {
		panic(err) // of maps, strings and JSON that was parsed
	}
	return body
}
