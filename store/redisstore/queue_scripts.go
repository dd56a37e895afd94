package redisstore

// The scripts of the queue have the same first KEYS:
//
//	KEYS[1..3]  streams of the due jobs: High, Normal, Low
//	KEYS[4]     sorted set of the delayed jobs, by the time at which they are due
//	KEYS[5]     stream of dead letters
//	KEYS[6]     wake key, a list: it holds a token while some Run must look for jobs
//
// Times are microseconds since 1970 by the callers' clocks; only the time of a job with
// its worker is measured by the server's clock. A job begins with the fields of jobLayout.
//
// A stream has the consumer group "jobs", and each Run is a consumer. A job with a worker
// is pending in the group; a waiting job, in a stream or in the sorted set, is not. A done
// job is deleted.

// queuePreamble begins the scripts of the queue.
//
//	keep(key, expires, now)  prolongs a key's life to the job's end at least
//	wake()                   puts a token into the wake key
//	parse(job)               returns the fields of a job
//	bury(job, reason, at)    adds a dead letter
//	push(job, now)           puts a job into its stream, or buries it if it has expired
//	delay(job, due)          puts a job into the sorted set; true: it is the first there
//	promote(now)             pushes jobs that have become due, and returns how many
//	forget()                 drops dead letters of more than a day
//	remove(p, id)            ends a pending entry; false: it is not pending
const queuePreamble = `
local HOUR, DAY, PROMOTES = 3600000, 86400000, @promotes
local function keep(key, expires, now)
	local life = (expires - now) / 1000 + @slack.millis
	if redis.call('PTTL', key) < life then
		redis.call('PEXPIRE', key, string.format('%.0f', life + HOUR))
	end
end
local function wake()
	if redis.call('EXISTS', KEYS[6]) == 0 then
		redis.call('RPUSH', KEYS[6], '')
		redis.call('PEXPIRE', KEYS[6], HOUR)
	end
end
local function parse(job)
	return struct.unpack('@job[rank attempts expires due]', job)
end
local function bury(job, reason, at)
	redis.call('XADD', KEYS[5], 'MAXLEN', @dead_letters, '*',
		'job', job, 'reason', reason, 'at', string.format('%.0f', at))
	redis.call('PEXPIRE', KEYS[5], DAY)
end
local function push(job, now)
	local p, _, expires = parse(job)
	if expires <= now then
		bury(job, '@end.late', expires)
	else
		redis.call('XADD', KEYS[p], '*', 'job', job)
		keep(KEYS[p], expires, now)
	end
end
local function delay(job, due)
	redis.call('ZADD', KEYS[4], string.format('%.0f', due), job)
	return redis.call('ZRANGE', KEYS[4], '0', '0')[1] == job -- a Run that waits for the next due job must know
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

// scriptEnqueue adds jobs, as many as there is room for, in their order.
//
//	ARGV     now, most jobs; then each job
//	returns  how many it has added
//
// It has no nonce: if its reply is lost, due jobs may come twice.
var scriptEnqueue = newScript(mayFill + queuePreamble + `
local now, room, added = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
room = room - redis.call('ZCARD', KEYS[4])
for p = 1, 3 do
	room = room - redis.call('XLEN', KEYS[p])
end
local first, last = false, {0, 0, 0, 0}
for i = 3, #ARGV do
	if added >= room then
		break
	end
	added = added + 1
	local job = ARGV[i]
	local p, _, expires, due = parse(job)
	if due <= now then
		redis.call('XADD', KEYS[p], '*', 'job', job)
		first = true
	else
		p = 4
		first = delay(job, due) or first
	end
	if last[p] < expires then
		last[p] = expires
	end
end
for p = 1, 4 do
	if last[p] > 0 then
		keep(KEYS[p], last[p], now)
	end
end
if first then
	wake()
end
return added
`)

// scriptStats counts jobs.
//
//	ARGV     now
//	returns  ten integers: jobs that it has promoted; of each priority, waiting jobs
//	         and jobs with a worker; delayed jobs; the time at which the oldest waiting
//	         job became due, 0 if none waits; dead letters
var scriptStats = newScript(anyhow + queuePreamble + `
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
`)

// scriptDead lists dead letters, the newest first.
//
//	ARGV     most dead letters
//	returns  of each: job, reason (endLate or endFailed), time
var scriptDead = newScript(anyhow + queuePreamble + `
forget()
local reply = {}
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[5], '+', '-', 'COUNT', ARGV[1])) do
	for i = 2, 6, 2 do
		reply[#reply + 1] = entry[2][i]
	end
end
return reply
`)

// scriptWake puts a token into the wake key of one consumer.
//
//	KEYS[1]  its wake key, and none of the other keys
//	returns  1
var scriptWake = newScript(mayFill + `
redis.call('RPUSH', KEYS[1], '')
redis.call('PEXPIRE', KEYS[1], @slack.millis)
return 1
`)
