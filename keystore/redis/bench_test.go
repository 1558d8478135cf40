package redis_test

import (
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"signpost/keystore/redis"
	"signpost/keystore/redis/redistest"
)

// fill writes keys of n domains, of the size of RSA keys of 2048 bits.
func fill(b *testing.B, server *redistest.Server, n int) {
	b.Helper()
	const script = `for i=ARGV[1],ARGV[2] do
redis.call('HSET','DKIM_PRIV_KEYS','dkim.'..'d'..i..'.example.org',ARGV[3]..i)
redis.call('HSET','DKIM_SELECTORS','d'..i..'.example.org','dkim') end`
	for i := 0; i < n; i += 5000 {
		server.Do(b, "EVAL", script, "0", strconv.Itoa(i), strconv.Itoa(min(i+5000, n)-1), strings.Repeat("x", 1700))
	}
	server.Do(b, "CONFIG", "SET", "slowlog-log-slower-than", "0")
	server.Do(b, "CONFIG", "SET", "slowlog-max-len", "100000")
}

// usage measures what the server does during a call.
func usage(b *testing.B, server *redistest.Server, name string, call func()) {
	b.Helper()
	server.Do(b, "CONFIG", "RESETSTAT")
	server.Do(b, "SLOWLOG", "RESET")
	began := time.Now()
	call()
	took := time.Since(began)
	out := regexp.MustCompile(`total_net_output_bytes:(\d+)`).FindStringSubmatch(server.Do(b, "INFO", "stats"))
	calls, busy := 0, 0
	for _, c := range regexp.MustCompile(`cmdstat_([^:]+):calls=(\d+),usec=(\d+)`).
		FindAllStringSubmatch(server.Do(b, "INFO", "commandstats"), -1) {
		if strings.HasPrefix(c[1], "config") || c[1] == "info" || strings.HasPrefix(c[1], "slowlog") {
			continue
		}
		n, _ := strconv.Atoi(c[2])
		usec, _ := strconv.Atoi(c[3])
		calls, busy = calls+n, busy+usec
	}
	const script = `local most=0
for _,e in ipairs(redis.call('SLOWLOG','GET','-1')) do most=math.max(most,e[3]) end
return most`
	slowest, _ := strconv.Atoi(server.Do(b, "EVAL", script, "0"))
	bytes, _ := strconv.Atoi(out[1])
	b.ReportMetric(took.Seconds()*1000, name+"-ms")
	b.ReportMetric(float64(calls), name+"-calls")
	b.ReportMetric(float64(busy)/1000, name+"-server-ms")
	b.ReportMetric(float64(slowest)/1000, name+"-slowest-ms")
	b.ReportMetric(float64(bytes)/1e6, name+"-MB")
}

// What listing, reading and listing again cost with very many domains, and what the names
// take of memory.
func BenchmarkMany(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			server := redistest.Start(b)
			fill(b, server, n)
			for b.Loop() {
				store, err := redis.New("redis://" + server.Addr)
				if err != nil {
					b.Fatal(err)
				}
				usage(b, server, "list", func() { list(b, store) })
				usage(b, server, "read-one", func() { read(b, store, "d7.example.org") })
				usage(b, server, "read-all", func() { readAll(b, store) })
				usage(b, server, "list-again", func() { list(b, store) })
				with := heap()
				runtime.KeepAlive(store)
				_ = store.Close()
				store = nil
				b.ReportMetric(float64(with-heap())/1e6, "heap-MB")
			}
		})
	}
}

func readAll(b *testing.B, store *redis.Backend) {
	b.Helper()
	var domains []string
	for domain := range list(b, store) {
		domains = append(domains, domain)
	}
	for part := range slices.Chunk(domains, 200) {
		if _, err := store.Read(b.Context(), part); err != nil {
			b.Fatal(err)
		}
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
