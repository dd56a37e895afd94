package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Opener = (*Store)(nil)

// errNotTogether is the error of an Open that needs a Take and a Create instead.
var errNotTogether = fmt.Errorf("redisstore: limits and challenge in one script: %w", errors.ErrUnsupported)

// Open implements store.Opener by one script. On a Cluster the limits of an address and
// the challenge are in different slots, so Open returns errors.ErrUnsupported without a
// trip.
func (s *Store) Open(
	ctx context.Context, r *store.Record, now time.Time, limits ...store.Limit,
) (store.Decision, error) {
	all, err := s.countedLimits(ctx, limits)
	if err != nil {
		return store.Decision{}, err
	}
	if err := check(r); err != nil {
		return store.Decision{}, err
	}
	odd := func(l store.Limit) bool { return l.Shadow || l.Peek }
	if len(all) == 0 || s.clustered.Load() || slices.ContainsFunc(limits, odd) {
		return store.Decision{}, errNotTogether
	}
	at := micros(now)
	keys, args := encodeLimits(at, all)
	keys = append(keys, s.challengeKeys(r.ID)...)
	args = append(args, encode(r, subjectField(r.Subject)), lifetime(micros(r.Expires)-at))
	text, err := s.text(ctx, scriptOpen, keys, args...)
	if err != nil {
		if s.learnCluster(err); s.clustered.Load() {
			return store.Decision{}, errNotTogether
		}
		return store.Decision{}, err
	}
	if text != "" && text[0] == done {
		waits := make([]int64, len(all))
		if err := readWaits(text[1:], all, waits); err != nil {
			return store.Decision{}, err
		}
		return decide(all, waits), nil
	}
	if text != "" {
		a, err := unpack(text)
		if err == nil {
			err = created(r, a)
		}
		return store.Decision{Allowed: err == nil}, err
	}
	begin(r)
	return store.Decision{Allowed: true}, nil
}

// scriptOpen does scriptTake and scriptCreate in one step.
//
//	KEYS        those of scriptTake, then those of scriptCreate
//	ARGV        those of scriptTake, then the record and its life in milliseconds
//	returns     an empty string: done; done, and how long the call has to wait for each
//	            limit, 8 bytes each: refused; else as scriptCreate
//
// The time is first in ARGV[1]. scriptTake is a function here, which finds its own KEYS
// and ARGV, and returns an empty string if it has taken.
var scriptOpen = newJoinedScript(mayFill + `
local id, runs, record, life = table.remove(KEYS), table.remove(KEYS), ARGV[#ARGV - 1], ARGV[#ARGV]
local subject = record:sub(@record.subject.from, @record.subject.to)
` + placeRecord + `
local function take()
` + strings.TrimPrefix(scriptTake.source.(string), mayFill) + `
end
local waits = take()
if waits ~= '' then
	if not before then redis.call('DEL', id) end
	return '\@status.done' .. waits
end
if before then redis.call('SET', id, record, 'PX', life) end
return ''
`)
