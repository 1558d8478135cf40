package rotation

import (
	"fmt"
	"log/slog"
	"testing"
	"time"
)

// A hundred thousand domains are asked about within the part of the limit that is for it:
// in two rounds each once by one of four nodes, and the round of one alone is so much longer.
func TestRoundsOfVeryManyDomains(t *testing.T) {
	t.Parallel()
	const n, tick = 100_000, time.Second
	domains := make([]string, n)
	number := make(map[string]int, n)
	for i := range n {
		domains[i] = fmt.Sprintf("d%06d.example", i)
		number[domains[i]] = i
	}
	start := time.Unix(1_800_000_000, 0)
	for _, nodes := range []int{1, 4} {
		asked := make([]int, n)
		names := []string{"mail-0", "mail-1", "mail-2", "mail-3"}[:nodes]
		for _, self := range names {
			s := sweep{
				book: newBook(nil, On, State{}, slog.New(slog.DiscardHandler)), domains: func() []string { return domains },
				fleet: &fleet{self: self}, urgent: func(string) bool { return false }, rate: 20 * sweepShare,
			}
			s.fleet.saw(names, start.Add(1000*time.Hour)) // they live on
			s.due(start, false)
			round := s.said.Load()
			if want := max(time.Hour, time.Duration(round.Domains)*time.Second/8); round.Length.Round(time.Second) != want {
				t.Fatalf("%s of %d nodes: a round of %d domains takes %v, want %v", self, nodes, round.Domains, round.Length, want)
			}
			if nodes == 4 && (round.Length > 65*time.Minute || len(round.Nodes) != 4) {
				t.Errorf("%s: the round takes %v with %v", self, round.Length, round.Nodes)
			}
			queries, most := 0, 0
			for now := start; now.Before(start.Add(2 * round.Length)); now = now.Add(tick) {
				due := s.due(now, false)
				queries, most = queries+len(due), max(most, len(due))
				for _, name := range due {
					asked[number[name]]++
				}
			}
			t.Logf("%s of %d nodes: %d domains in %v, %.2f queries a second, at most %.0f in one",
				self, nodes, round.Domains, round.Length, float64(queries)/(2*round.Length).Seconds(), float64(most)/tick.Seconds())
			if limit := 8 * tick.Seconds(); float64(most) > limit+1 {
				t.Errorf("%s of %d nodes: %d queries in %v", self, nodes, most, tick)
			}
		}
		few := 0
		for i, times := range asked {
			if times > 2 {
				t.Fatalf("with %d nodes %s is asked about %d times in two rounds", nodes, domains[i], times)
			}
			if times < 2 {
				few++
			}
		}
		if few > n/500 { // the last of the second round
			t.Errorf("with %d nodes %d domains are not asked about twice in two rounds", nodes, few)
		}
	}
}

// What nobody has asked about for long is asked about by all, and what a node leaves that
// has gone by those that are left.
func TestRoundTakesOver(t *testing.T) {
	t.Parallel()
	domains := make([]string, 100)
	for i := range domains {
		domains[i] = fmt.Sprintf("d%d.example", i)
	}
	start := time.Unix(1_800_000_000, 0)
	s := sweep{
		book: newBook(nil, On, State{}, slog.New(slog.DiscardHandler)), domains: func() []string { return domains },
		fleet: &fleet{self: "a"}, urgent: func(string) bool { return false }, rate: 8,
	}
	s.fleet.saw([]string{"b"}, start)
	own := func(now time.Time) int {
		s.due(now, false)
		return s.said.Load().Domains
	}
	if n := own(start); n < 35 || n > 65 {
		t.Fatalf("of 100 one of two nodes asks about %d", n)
	}
	if n := own(start.Add(aliveFor - time.Second)); n > 65 {
		t.Errorf("%d while the other one is alive", n)
	}
	if n := own(start.Add(aliveFor)); n != 100 {
		t.Errorf("%d when the other one has gone", n)
	}
	late := start.Add(staleRounds*lazyPause + time.Hour)
	s.fleet.saw([]string{"b"}, late)
	if n := own(late); n != 100 {
		t.Errorf("%d when there were no answers of the other one for %v", n, late.Sub(start))
	}
}
