package memstore

// A jobHeap is a heap.Interface of unfinished jobs, ordered by dueAt. Each job
// knows its place, so that it can be removed.
type jobHeap struct{ jobs []*job }

func (h *jobHeap) Len() int { return len(h.jobs) }

func (h *jobHeap) Less(i, j int) bool {
	a, b := h.jobs[i], h.jobs[j]
	return a.dueAt < b.dueAt || a.dueAt == b.dueAt && a.seq < b.seq
}

func (h *jobHeap) Swap(i, j int) {
	h.jobs[i], h.jobs[j] = h.jobs[j], h.jobs[i]
	h.jobs[i].pos, h.jobs[j].pos = i, j
}

// Push is called by package heap.
func (h *jobHeap) Push(x any) {
	j := x.(*job)
	j.heap, j.pos = h, len(h.jobs)
	h.jobs = append(h.jobs, j)
}

// Pop is called by package heap.
func (h *jobHeap) Pop() any {
	last := len(h.jobs) - 1
	j := h.jobs[last]
	h.jobs[last] = nil
	h.jobs = h.jobs[:last]
	j.heap = nil
	return j
}
