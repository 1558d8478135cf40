package published

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

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
		{Name: "a", Addr: serve(t, authoritative(alias, txt("s1.example.net", 100)))},
		{Name: "b", Addr: serve(t, authoritative(alias))},
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
	question := dns.Question{Name: "example.org.", Qtype: dns.TypeTXT}
	hurried, cancel := context.WithCancel(t.Context())
	asked, waiting := make(chan struct{}), make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		m.once(hurried, question, func() (*Answer, error) {
			close(asked)
			<-waiting
			cancel()
			return nil, errors.New("no time")
		})
	})
	<-asked
	done.Go(func() {
		answer, err := m.once(t.Context(), question, func() (*Answer, error) { return new(Answer), nil })
		if answer == nil || err != nil {
			t.Errorf("got %v, %v", answer, err)
		}
	})
	close(waiting)
	done.Wait()
}
