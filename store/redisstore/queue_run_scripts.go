package redisstore

// The scripts of Run. For their KEYS see queuePreamble.

// scriptFetch hands out jobs, the highest priority first. If a backlog has expired, it
// buries a part of it and puts a token into the wake key, since the server does nothing
// else while a script runs.
//
//	ARGV     now, most jobs, consumer
//	returns  the time at which the next delayed job is due, 0 if there is none; then of
//	         each job: job, stream entry
var scriptFetch = newScript(anyhow + queuePreamble + `
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
	wake()
end
if redis.call('ZCARD', KEYS[4]) > 0 then
	reply[1] = redis.call('ZRANGE', KEYS[4], '0', '0', 'WITHSCORES')[2]
end
return reply
`)

// scriptAck ends jobs of a worker. A job that another worker has got meanwhile keeps its
// state, unless it is done.
//
//	ARGV     now; of each priority, the number of done jobs; their stream entries in
//	         order; then of each of the other jobs: rank, stream entry, end (endAgain,
//	         endBack, endLate or endFailed), job
//	returns  1
//
// To find an entry in a stream takes longer than all other work on a job. So done jobs
// before the first pending one are cut off the stream in one piece. This is safe if all
// their entries were pending: then the server has not lost its latest writes, so it knows
// which jobs workers have, and each earlier job that is not pending is done.
var scriptAck = newScript(anyhow + queuePreamble + `
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
	local ending, job = ARGV[i + 2], ARGV[i + 3]
	if remove(tonumber(ARGV[i]), ARGV[i + 1]) then
		if ending == '@end.again' then
			local _, _, expires, due = parse(job)
			if delay(job, due) then
				wake()
			end
			keep(KEYS[4], expires, now)
		elseif ending == '@end.back' then
			push(job, now)
			wake()
		else
			bury(job, ending, now)
		end
	end
end
return 1
`)

// scriptHeartbeat extends a consumer's hold of its jobs. It gives back jobs that the
// consumer does not know, because the reply with them was lost, and jobs of any consumer
// that had no heartbeat for long. A job stays if it was handed out less than half a second
// ago: its reply may have been on its way when the consumer sent the heartbeat.
//
//	ARGV     now, consumer, long in milliseconds, most attempts; then of each of the
//	         consumer's jobs: rank, stream entry
//	returns  1
var scriptHeartbeat = newScript(anyhow + queuePreamble + `
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
	local _, attempts, expires = parse(job)
	attempts = attempts + more
	job = struct.pack('@job[rank attempts expires due]', p, attempts, expires, now) .. job:sub(@job.nonce.from)
	if attempts >= tonumber(ARGV[4]) then
		bury(job, '@end.failed', now)
	else
		push(job, now)
		wake()
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
`)

// scriptTidy removes consumers without jobs: the one that leaves, and idle ones.
//
//	ARGV     consumer that leaves, long in milliseconds
//	returns  1
var scriptTidy = newScript(anyhow + queuePreamble + `
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
`)
