package redisstore

import (
	"slices"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/worker"
)

func TestEntryOrder(t *testing.T) {
	t.Parallel()
	order := []string{"999-0", "1000-2", "1000-10", "1001-0", "1001-9", "1001-11"}
	for i, id := range order {
		for j, other := range order {
			got := streamEntry{id: id}.compare(streamEntry{id: other})
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s: %d", id, other, got)
			}
		}
	}
	due := time.UnixMicro(1_800_000_000_000_000)
	job := encodeJob(store.Job{Challenge: "c", Expires: due.Add(time.Hour)}, 7)
	batch := []result{
		{Hold: streamEntry{1, "5-10"}, End: worker.Done},
		{Hold: streamEntry{2, "4-0"}, End: worker.Again, Form: job, Due: due, Attempts: 3},
		{Hold: streamEntry{1, "5-9"}, End: worker.Done},
	}
	then := dueThen(job, micros(due), 3)
	want := []any{2, 0, 0, "5-9", "5-10", int64(2), "4-0", "again", then}
	if got := ackArgs(batch)[1:]; !slices.Equal(got, want) {
		t.Errorf("ackArgs %q, want %q", got, want)
	}
	_, attempts, err := decodeJob(then)
	if at := jobLayout.Due.get(then); err != nil || attempts != 3 || at != uint64(micros(due)) {
		t.Errorf("the job has %d attempts and is due at %d, error %v", attempts, at, err)
	}
}
