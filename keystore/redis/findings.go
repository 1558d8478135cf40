package redis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"signpost/keystore/redis/internal/resp"
	"signpost/keystore/rotation"
)

// Nodes share what the DNS said in three structures, all in one slot of a Cluster: a hash
// with a field for each node, which changes while that lives,
//
//	{signpost}:nodes  NODE  "BEAT LAST TIME"
//
// and for each node a hash of its findings, by key, with a sorted set of the same by the
// number of when they were written. LAST is the largest number, and TIME the seconds since
// 1970 by the clock of the node.
const (
	nodesKey  = "{signpost}:nodes"
	foundKey  = "{signpost}:found:"
	recentKey = "{signpost}:recent:"
)

const (
	// findingsFor is how long the findings of a node that has gone are kept.
	findingsFor = 30 * 24 * time.Hour
	// writeBatch is how many findings get one number, and readBatch how many are read at
	// once: more than two of those.
	writeBatch = 500
	readBatch  = 2000
	mostNodes  = 1000
	maxFinding = 1024
)

// Findings shares what the DNS said with the other nodes that use the store.
type Findings struct {
	backend *Backend
	node    string
	beat    int
	last    int64                 // the number that was written last; 0 when that is not known
	others  map[string]*otherNode // by name
}

var (
	_ rotation.Exchange  = (*Findings)(nil)
	_ rotation.Publisher = (*Findings)(nil)
)

type otherNode struct {
	beat string // as it was last seen
	last int64  // up to which its findings are known
}

// Findings returns what the node with this name shares. One goroutine uses it at a time.
func (b *Backend) Findings(node string) *Findings {
	return &Findings{backend: b, node: node, others: make(map[string]*otherNode)}
}

// Name is that of the store.
func (f *Findings) Name() string { return f.backend.Name() }

// Publish writes findings of this node, in batches, and that it lives.
func (f *Findings) Publish(ctx context.Context, news []rotation.Finding) error {
	if f.last == 0 {
		if err := f.resume(ctx); err != nil {
			return f.backend.explain(err)
		}
	}
	for batch := range slices.Chunk(news, writeBatch) {
		f.last = max(f.last+1, time.Now().UnixMilli())
		set, order := resp.Command{"HSET", foundKey + f.node}, resp.Command{"ZADD", recentKey + f.node}
		for _, one := range batch {
			set = append(set, one.Key(), one.String())
			order = append(order, strconv.FormatInt(f.last, 10), one.Key())
		}
		seconds := int(findingsFor / time.Second)
		if err := f.transaction(ctx, set, order,
			resp.Command{"EXPIRE", foundKey + f.node, seconds}, resp.Command{"EXPIRE", recentKey + f.node, seconds},
			f.lives()); err != nil {
			return f.backend.explain(err)
		}
	}
	if len(news) > 0 {
		return nil
	}
	_, err := f.backend.servers.do(ctx, nodesKey, true, f.lives())
	return f.backend.explain(err)
}

// lives is the command that says so.
func (f *Findings) lives() resp.Command {
	f.beat++
	return resp.Command{"HSET", nodesKey, f.node, fmt.Sprintf("%d %d %d", f.beat, f.last, time.Now().Unix())}
}

// resume goes on with the numbers where the process before this one has stopped.
func (f *Findings) resume(ctx context.Context) error {
	replies, err := f.backend.servers.do(ctx, nodesKey, false,
		resp.Command{"ZREVRANGE", recentKey + f.node, "0", "0", "WITHSCORES"})
	if err != nil {
		return err
	}
	f.last = 1
	_, numbers, err := scores(replies[0])
	if err != nil {
		return err
	}
	if len(numbers) > 0 {
		f.last = numbers[0]
	}
	f.beat = int(time.Now().UnixNano() >> 20 & 0xffffff) // not what it was before
	return nil
}

// transaction does all commands or none.
func (f *Findings) transaction(ctx context.Context, commands ...resp.Command) error {
	commands = append(append([]resp.Command{{"MULTI"}}, commands...), resp.Command{"EXEC"})
	replies, err := f.backend.servers.do(ctx, nodesKey, true, commands...)
	if err != nil {
		return err
	}
	done, ok := replies[len(replies)-1].([]any)
	if !ok {
		return errReply
	}
	for _, reply := range done {
		if said, failed := reply.(resp.Error); failed {
			return said
		}
	}
	return nil
}

// Fetch reads what the other nodes have written since the last call. A node lives when it
// has beaten since then, so one is seen at the second call.
func (f *Findings) Fetch(ctx context.Context, found func([]rotation.Finding)) (nodes []string, err error) {
	replies, err := f.backend.servers.do(ctx, nodesKey, false, resp.Command{"HGETALL", nodesKey})
	if err != nil {
		return nil, f.backend.explain(err)
	}
	items, ok := replies[0].([]any)
	if !ok || len(items)%2 != 0 {
		return nil, f.backend.explain(errReply)
	}
	there := make(map[string]bool)
	newest := newestTime(items)
	for i := 0; i < len(items) && i < 2*mostNodes; i += 2 {
		node, _ := resp.Text(items[i])
		value, _ := resp.Text(items[i+1])
		words := strings.Fields(value)
		if _, err := rotation.ParseNode(node); err != nil || node == "" || node == f.node || len(words) != 3 {
			continue
		}
		if newest-number(words[2]) > int64(findingsFor/time.Second) {
			_, _ = f.backend.servers.do(ctx, nodesKey, true, resp.Command{"HDEL", nodesKey, node})
			continue
		}
		there[node] = true
		one := f.others[node]
		if one == nil {
			one = new(otherNode)
			f.others[node] = one
		} else if one.beat != value {
			nodes = append(nodes, node)
		}
		one.beat = value
		if number(words[1]) > one.last {
			if err := f.read(ctx, node, one, found); err != nil {
				return nodes, f.backend.explain(err)
			}
		}
	}
	maps.DeleteFunc(f.others, func(node string, _ *otherNode) bool { return !there[node] })
	return nodes, nil
}

// newestTime returns the last time when any node has beaten, and none after now: by it, and not
// by the clock of this node alone, it is told which have long gone.
func newestTime(items []any) (newest int64) {
	for i := 1; i < len(items); i += 2 {
		value, _ := resp.Text(items[i])
		if words := strings.Fields(value); len(words) == 3 {
			newest = max(newest, min(number(words[2]), time.Now().Unix()))
		}
	}
	return newest
}

// read reads the findings of one node after those that are known.
func (f *Findings) read(ctx context.Context, node string, one *otherNode, found func([]rotation.Finding)) error {
	for {
		replies, err := f.backend.servers.do(ctx, nodesKey, false, resp.Command{"ZRANGEBYSCORE", recentKey + node,
			"(" + strconv.FormatInt(one.last, 10), "+inf", "WITHSCORES", "LIMIT", "0", strconv.Itoa(readBatch)})
		if err != nil {
			return err
		}
		keys, numbers, err := scores(replies[0])
		if err != nil || len(keys) == 0 {
			return err
		}
		last, whole := numbers[len(numbers)-1], len(keys) < readBatch
		if n := slices.Index(numbers, last); !whole && n > 0 {
			keys, last = keys[:n], numbers[n-1] // there may be more with the last number
		}
		if err := f.readKeys(ctx, node, keys, found); err != nil {
			return err
		}
		if one.last = last; whole {
			return nil
		}
	}
}

func (f *Findings) readKeys(ctx context.Context, node string, keys []string, found func([]rotation.Finding)) error {
	command := resp.Command{"HMGET", foundKey + node}
	for _, key := range keys {
		command = append(command, key)
	}
	replies, err := f.backend.servers.do(ctx, nodesKey, false, command)
	if err != nil {
		return err
	}
	texts, ok := replies[0].([]any)
	if !ok {
		return errReply
	}
	all := make([]rotation.Finding, 0, len(texts))
	for _, item := range texts {
		text, _ := resp.Text(item)
		if len(text) > maxFinding {
			continue
		}
		if one, err := rotation.ParseFinding(text); err == nil {
			all = append(all, one)
		}
	}
	// Those of one domain together.
	slices.SortStableFunc(all, func(a, b rotation.Finding) int { return strings.Compare(a.Domain, b.Domain) })
	found(all)
	return nil
}

// scores returns the members of a sorted set with their scores, in order.
func scores(reply any) (members []string, numbers []int64, err error) {
	items, ok := reply.([]any)
	if !ok {
		return nil, nil, errReply
	}
	if len(items) > 0 {
		if _, nested := items[0].([]any); !nested { // RESP2 has one after the other
			items = slices.Collect(func(yield func(any) bool) {
				for pair := range slices.Chunk(items, 2) {
					if !yield(pair) {
						return
					}
				}
			})
		}
	}
	for _, item := range items {
		pair, _ := item.([]any)
		if len(pair) != 2 {
			return nil, nil, errReply
		}
		member, ok := resp.Text(pair[0])
		score, isScore := pair[1].(float64)
		if text, isText := resp.Text(pair[1]); isText {
			score, err = strconv.ParseFloat(text, 64)
			isScore = err == nil
		}
		if !ok || !isScore {
			return nil, nil, errReply
		}
		members, numbers = append(members, member), append(numbers, int64(score))
	}
	return members, numbers, nil
}

// number returns a number, 0 where it is none.
func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return value
}
