package redisstore

import (
	"slices"
	"testing"
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
	batch := []result{
		{streamEntry: streamEntry{1, "5-10"}, end: endDone},
		{streamEntry: streamEntry{2, "4-0"}, end: "again", job: "j"},
		{streamEntry: streamEntry{1, "5-9"}, end: endDone},
	}
	want := []any{2, 0, 0, "5-9", "5-10", int64(2), "4-0", "again", "j"}
	if got := ackArgs(batch)[1:]; !slices.Equal(got, want) {
		t.Errorf("ackArgs %v, want %v", got, want)
	}
}
