package redisstore

// The scripts of the queue. Times are microseconds since 1970 by the callers'
// clocks; how long a job has been with a worker is by the server's.
//
//	KEYS[1..3]  streams of the jobs that are due: High, Normal, Low
//	KEYS[4]     sorted set of those that are to come, by when
//	KEYS[5]     stream of dead letters
//	KEYS[6]     list, the bell: holds a token while some Run should look
//
// A job is a string that begins with its priority (1 to 3), how often it has
// been handed out, when it expires, and when it is due; see encodeJob. What
// waits, in a stream or the set, is not pending in the group; what is pending is
// with a worker, and what is done is deleted.

const (
	promotes    = 200  // of what has become due, in one script
	deadLetters = 1000 // are kept
)

// prelude is what the scripts share.
const prelude = `
local HOUR, DAY, PROMOTES = 3600000, 86400000, @promotes
local function keep(key, expires, now)
	local life = (expires - now) / 1000 + @slack.millis
	if redis.call('PTTL', key) < life then
		redis.call('PEXPIRE', key, string.format('%.0f', life + HOUR))
	end
end
local function ring()
	if redis.call('EXISTS', KEYS[6]) == 0 then
		redis.call('RPUSH', KEYS[6], '')
		redis.call('PEXPIRE', KEYS[6], HOUR)
	end
end
local function parse(job)
	return struct.unpack('@job[rank attempt expires due]', job)
end
local function bury(job, reason, at)
	redis.call('XADD', KEYS[5], 'MAXLEN', @dead_letters, '*', 'job', job, 'reason', reason, 'at', string.format('%.0f', at))
	redis.call('PEXPIRE', KEYS[5], DAY)
end
local function push(job, now)
	local p, attempt, expires = parse(job)
	if expires <= now then
		bury(job, '@end.late', expires)
	else
		redis.call('XADD', KEYS[p], '*', 'job', job)
		keep(KEYS[p], expires, now)
	end
end
local function delay(job, due)
	redis.call('ZADD', KEYS[4], string.format('%.0f', due), job)
	return redis.call('ZRANGE', KEYS[4], '0', '0')[1] == job -- who watches the clock must know
end
local function promote(now)
	if redis.call('ZCARD', KEYS[4]) == 0 then
		return 0
	end
	local due = redis.call('ZRANGE', KEYS[4], '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, PROMOTES)
	for _, job in ipairs(due) do
		redis.call('ZREM', KEYS[4], job)
		push(job, now)
	end
	return #due
end
local function forget()
	local ms = tonumber(redis.call('TIME')[1]) * 1000
	redis.call('XTRIM', KEYS[5], 'MINID', string.format('%.0f', ms - DAY))
end
local function remove(p, id)
	if redis.call('XACK', KEYS[p], 'jobs', id) == 0 then
		return false
	end
	redis.call('XDEL', KEYS[p], id)
	return true
end
`

// enqueueScript adds jobs, each unless its ID is known, and returns for each 1,
// or 0 where there is nothing to do, or -1 where there is no room. The IDs are
// KEYS[7] and those that follow; each key holds when its job expires, 8 bytes.
//
//	ARGV: now, most jobs, then of each: life of its ID's key, job
const enqueueScript = mayFill + prelude + `
local now, room, reply = tonumber(ARGV[1]), tonumber(ARGV[2]), {}
room = room - redis.call('ZCARD', KEYS[4])
for p = 1, 3 do
	room = room - redis.call('XLEN', KEYS[p])
end
local added, last = false, {0, 0, 0, 0}
local function add(key, life, job)
	local ends = job:sub(@job.expires.from, @job.expires.to)
	if not redis.call('SET', key, ends, 'NX', 'PX', life) then
		if struct.unpack('@job[expires]', redis.call('GET', key)) > now then
			return @enqueued.known
		end
		redis.call('SET', key, ends, 'PX', life)
	end
	if room < 1 then
		redis.call('DEL', key)
		return @enqueued.full
	end
	room = room - 1
	local p, attempt, expires, due = parse(job)
	if due <= now then
		redis.call('XADD', KEYS[p], '*', 'job', job)
		added = true
	else
		p = 4
		added = delay(job, due) or added
	end
	if last[p] < expires then
		last[p] = expires
	end
	return @enqueued.added
end
for i = 1, (#ARGV - 2) / 2 do
	reply[i] = add(KEYS[6 + i], ARGV[2 * i + 1], ARGV[2 * i + 2])
end
for p = 1, 4 do
	if last[p] > 0 then
		keep(KEYS[p], last[p], now)
	end
end
if added then
	ring()
end
return reply
`

// fetchScript hands out jobs, the highest priority first: when the next of
// those that are to come is due (0: there is none), and then each job and its
// entry. Of a backlog that has expired it buries a part, and rings:
// the server does nothing else meanwhile.
//
//	ARGV: now, most jobs, consumer
const fetchScript = anyhow + prelude + `
local now, most, reply = tonumber(ARGV[1]), tonumber(ARGV[2]), {0}
local more = promote(now) == PROMOTES
local n, late = 0, 0
local function read(p)
	if redis.call('XLEN', KEYS[p]) == 0 then
		return false
	end
	local got = redis.pcall('XREADGROUP', 'GROUP', 'jobs', ARGV[3], 'COUNT', most - n, 'STREAMS', KEYS[p], '>')
	if not got then
		return false
	end
	if got.err then
		if string.sub(got.err, 1, 7) ~= 'NOGROUP' then
			error(got)
		end
		redis.call('XGROUP', 'CREATE', KEYS[p], 'jobs', '0')
		return true
	end
	for _, entry in ipairs(got[1][2]) do
		local job = entry[2][2]
		local _, _, expires = parse(job)
		if expires <= now then
			remove(p, entry[1])
			bury(job, '@end.late', expires)
			late = late + 1
		else
			n = n + 1
			reply[2 * n], reply[2 * n + 1] = job, entry[1]
		end
	end
	return true
end
for p = 1, 3 do
	while n < most and late < PROMOTES and read(p) do end
end
if more or n == most or late >= PROMOTES then
	ring()
end
if redis.call('ZCARD', KEYS[4]) > 0 then
	reply[1] = redis.call('ZRANGE', KEYS[4], '0', '0', 'WITHSCORES')[2]
end
return reply
`

// settleScript ends what was handed out: what is done, and what has another end
// if it was not handed out anew since.
//
//	ARGV: now, how many of each priority are done, their entries in order, then
//	of each of the others: priority, entry, verb, job
//
// What is done and before all that is pending is cut off the stream in one piece,
// as to find an entry takes longer than all else that is done to a job. That is
// safe if all entries were pending: then what was handed out was not forgotten,
// as by a server that has lost its latest writes, and what is before the last of
// them and not pending is done.
//
// The verbs: "again" when the job is due, "back" as if it had not been handed
// out, and what else is a reason for a dead letter.
const settleScript = anyhow + prelude + `
local now, at = tonumber(ARGV[1]), 5
local function before(id, other)
	local ms, n = string.match(id, '(%d+)-(%d+)')
	local ms2, n2 = string.match(other, '(%d+)-(%d+)')
	ms, ms2 = tonumber(ms), tonumber(ms2)
	return ms < ms2 or ms == ms2 and tonumber(n) < tonumber(n2)
end
local function cut(key, first, last)
	if redis.call('XACK', key, 'jobs', unpack(ARGV, first, last)) < last - first + 1 then
		return first
	end
	local pending = redis.call('XPENDING', key, 'jobs', '-', ARGV[last], 1)[1]
	if not pending then
		redis.call('XTRIM', key, 'MINID', ARGV[last])
		return last
	end
	local low, high = first, last
	while low < high do
		local middle = math.floor((low + high) / 2)
		if before(ARGV[middle], pending[1]) then
			low = middle + 1
		else
			high = middle
		end
	end
	if low > first then
		redis.call('XTRIM', key, 'MINID', pending[1])
	end
	return low
end
for p = 1, 3 do
	local last = at + tonumber(ARGV[1 + p]) - 1
	if last >= at then
		redis.call('XDEL', KEYS[p], unpack(ARGV, cut(KEYS[p], at, last), last))
		at = last + 1
	end
end
for i = at, #ARGV, 4 do
	local verb, job = ARGV[i + 2], ARGV[i + 3]
	if remove(tonumber(ARGV[i]), ARGV[i + 1]) then
		if verb == '@end.again' then
			local _, _, expires, due = parse(job)
			if delay(job, due) then
				ring()
			end
			keep(KEYS[4], expires, now)
		elseif verb == '@end.back' then
			push(job, now)
			ring()
		else
			bury(job, verb, now)
		end
	end
end
return 1
`

// tendScript keeps what a consumer has as its own, gives back what it has not,
// for the reply with it was lost, and what a consumer had that has not tended
// it for long. What was handed out in the last half second the consumer may not
// have known of when it asked.
//
//	ARGV: now, consumer, long in milliseconds, most attempts, then of each that
//	the consumer has: priority, entry
const tendScript = anyhow + prelude + `
local now, mine = tonumber(ARGV[1]), {{}, {}, {}}
for i = 5, #ARGV, 2 do
	mine[tonumber(ARGV[i])][ARGV[i + 1]] = true
end
local function back(p, id, more)
	local entry = redis.call('XRANGE', KEYS[p], id, id)[1]
	if not remove(p, id) or not entry then
		return
	end
	local job = entry[2][2]
	local _, attempt, expires = parse(job)
	attempt = attempt + more
	job = struct.pack('@job[rank attempt expires due]', p, attempt, expires, now) .. job:sub(@job.rest.from)
	if attempt >= tonumber(ARGV[4]) then
		bury(job, '@end.failed', now)
	else
		push(job, now)
		ring()
	end
end
for p = 1, 3 do
	local own = redis.pcall('XPENDING', KEYS[p], 'jobs', '-', '+', 10000, ARGV[2])
	if not own.err then
		for _, entry in ipairs(own) do
			if mine[p][entry[1]] then
				redis.call('XCLAIM', KEYS[p], 'jobs', ARGV[2], 0, entry[1], 'JUSTID')
			elseif entry[3] >= 500 then
				back(p, entry[1], 0)
			end
		end
		for _, entry in ipairs(redis.call('XPENDING', KEYS[p], 'jobs', 'IDLE', ARGV[3], '-', '+', 200)) do
			back(p, entry[1], 1)
		end
	end
end
return 1
`

// tidyScript forgets consumers that have nothing: ARGV[1], and those that
// have not been heard of for long.
//
//	ARGV: consumer, long in milliseconds
const tidyScript = anyhow + prelude + `
for p = 1, 3 do
	local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[p], 'jobs')
	if not consumers.err then
		for _, c in ipairs(consumers) do
			local name, pending, idle = c[2], c[4], c[6]
			if pending == 0 and (name == ARGV[1] or idle > tonumber(ARGV[2])) then
				redis.call('XGROUP', 'DELCONSUMER', KEYS[p], 'jobs', name)
			end
		end
	end
end
return 1
`

// statsScript returns how many that were due it has put into the streams, then
// of each priority how many wait and how many are with a worker, then how many
// are to come, since when the first that waits has been due (0: none waits), and
// how many dead letters there are.
//
//	ARGV: now
const statsScript = anyhow + prelude + `
local now = tonumber(ARGV[1])
local reply, oldest = {promote(now)}, nil
for p = 1, 3 do
	local pending, after = 0, '-'
	local groups = redis.pcall('XINFO', 'GROUPS', KEYS[p])
	if not groups.err and groups[1] then
		local group = groups[1]
		for i = 1, #group, 2 do
			if group[i] == 'pending' then
				pending = group[i + 1]
			elseif group[i] == 'last-delivered-id' then
				after = '(' .. group[i + 1]
			end
		end
	end
	reply[#reply + 1] = redis.call('XLEN', KEYS[p]) - pending
	reply[#reply + 1] = pending
	local first = redis.call('XRANGE', KEYS[p], after, '+', 'COUNT', 1)[1]
	if first then
		local _, _, _, due = parse(first[2][2])
		oldest = math.min(oldest or due, due)
	end
end
reply[#reply + 1] = redis.call('ZCARD', KEYS[4])
reply[#reply + 1] = oldest or 0
forget()
reply[#reply + 1] = redis.call('XLEN', KEYS[5])
return reply
`

// deadScript returns dead letters, the newest first: job, reason and time of
// each.
//
//	ARGV: how many at most
const deadScript = anyhow + prelude + `
forget()
local reply = {}
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[5], '+', '-', 'COUNT', ARGV[1])) do
	for i = 2, 6, 2 do
		reply[#reply + 1] = entry[2][i]
	end
end
return reply
`

// wakeScript rings KEYS[1], the bell of one consumer.
const wakeScript = mayFill + `
redis.call('RPUSH', KEYS[1], '')
redis.call('PEXPIRE', KEYS[1], @slack.millis)
return 1
`
