package dns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"signpost/test/lab/nameserver"

	"github.com/miekg/dns"
)

// A name server may hold the zone that a CNAME leads to, and one beside it not:
// of their own zone both say the same.
func TestNameServersBeyondTheZone(t *testing.T) {
	t.Parallel()
	authoritative := func(records ...string) dns.HandlerFunc {
		answer := answering(t, records...)
		return func(w dns.ResponseWriter, query *dns.Msg) { answer(authoritativeWriter{w}, query) }
	}
	const alias = "s1._domainkey.example.org. 60 IN CNAME s1.example.net."
	zone := NameServers{Zone: "example.org", Servers: []NameServer{
		{Name: "a", Addr: nameserver.Serve(t, authoritative(alias, txt("s1.example.net", 100)))},
		{Name: "b", Addr: nameserver.Serve(t, authoritative(alias))},
	}}
	for _, reply := range zone.Ask(t.Context(), "s1._domainkey.example.org", dns.TypeTXT, time.Second) {
		if reply.Err != nil || len(reply.Answer.Records) > 0 || !slices.Equal(reply.Answer.CNAMEs, []string{"s1.example.net"}) {
			t.Errorf("%s: got %+v, %v", reply.Server, reply.Answer, reply.Err)
		}
	}
}

type authoritativeWriter struct{ dns.ResponseWriter }

func (w authoritativeWriter) WriteMsg(reply *dns.Msg) error {
	reply.Authoritative = true
	return w.ResponseWriter.WriteMsg(reply)
}

// Who has time left does not get the failure of somebody who had none.
func TestMemoryOfSomebodyWithoutTime(t *testing.T) {
	t.Parallel()
	m := newMemory()
	question := asked{Question: dns.Question{Name: "example.org.", Qtype: dns.TypeTXT}}
	hurried, cancel := context.WithCancel(t.Context())
	begun, waiting := make(chan struct{}), make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		once(hurried, m, question, func() (*Answer, error) {
			close(begun)
			<-waiting
			cancel()
			return nil, errors.New("no time")
		})
	})
	<-begun
	done.Go(func() {
		answer, err := once(t.Context(), m, question, func() (*Answer, error) { return new(Answer), nil })
		if answer == nil || err != nil {
			t.Errorf("got %v, %v", answer, err)
		}
	})
	close(waiting)
	done.Wait()
}

// A resolver that never replies is not waited for at every question of a run.
func TestDeadResolver(t *testing.T) {
	t.Parallel()
	r := &Resolver{Servers: []string{nameserver.Serve(t, nameserver.Silent), nameserver.Serve(t, answering(t, "example.org. 60 IN TXT hello"))}, Patience: 100 * time.Millisecond, Attempts: 2}
	r = r.Remembering()
	start := time.Now()
	for i := range 30 {
		if _, err := r.TXT(t.Context(), fmt.Sprintf("n%d.example.org", i)); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	// With none that replies, each question fails as the first did.
	r = (&Resolver{Servers: r.Servers[:1], Patience: 100 * time.Millisecond, Attempts: 2}).Remembering()
	start = time.Now()
	for i := range 30 {
		_, err := r.TXT(t.Context(), fmt.Sprintf("n%d.example.org", i))
		var failed *LookupError
		if !errors.As(err, &failed) || failed.Kind != Timeout || failed.Server != r.Servers[0] {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
}
