package redisstore

// The scripts of challenges have the same KEYS, and all but scriptCancelAll the same
// first ARGV:
//
//	KEYS[1]  the runs of failures of a bucket: a hash by subject; a value has the
//	         runFields, and then the subject's marks, see markFields
//	KEYS[2]  a challenge of the bucket: a string, see encode; scriptCancelAll has none
//	ARGV[1]  the call's time and its name, see stampFields: of Attempt the caller's
//	         token; of Create and Get the time only; of Finish and Update see
//	         finishFields and updateFields
//
// All but scriptCreate and scriptCancelAll return the record as it was before the
// call, see replyRecord.
//
// The runs of a bucket share one key: the name of a run's own key would depend on the
// record, and a script may only touch its KEYS. A call that adds a run may remove
// forgotten runs, see sweepRuns.
//
// The scripts are most of the cost of a call for the server. In Lua a call of any
// function costs as much as ten lines, and a new string costs 11 instructions a
// byte, because Redis hashes all of it: the scripts make no string that they can do
// without.

// loadChallenge reads the record, c. If there is no challenge, the script returns an
// empty string.
const loadChallenge = `
local call, read = redis.call, struct.unpack
local c = call('GET', KEYS[2])
if not c then return '' end
`

// loadFields reads the fields that all scripts need but scriptAttempt, which needs
// more.
const loadFields = `
local tokens, expires, subject = read('@record[tokens expires subject]', c, @record.tokens.from)
`

// loadRun reads the subject's run of failures and its marks.
const loadRun = `
local run = call('HGET', KEYS[1], subject)
`

// readRun reads the run and the marks that loadRun has loaded. A forgotten run counts as
// no run. closed is true if a Finish closed the challenge, which made the record longer,
// or a mark did; then cancelled is headCancelled. marks are the live marks.
const readRun = `
local closed, failures, ends, locked, total, life, kept, marks, cancelled =
	(#c - tokens) % @token == 1, 0, 0, 0, 0, 0, 0, '', 0
if run then
	failures, ends, locked, total, life, kept = read('@run[failures ends locked total life kept]', run)
	if ends <= now then failures, ends, locked = 0, 0, 0 end
	if life <= now then total, life = 0, 0 end
	if #run > @run.length then
		local created, group = read('@record[created group]', c, @record.created.from)
		for at = @(run.length + 1), #run, @mark.length do
			local of, over, time = read('@mark[group ends time]', run, at)
			if not closed and created < time and (of == group or of:byte() == 0) then cancelled = @head.cancelled end
			if over + @slack.micros > now then marks = marks .. run:sub(at, at + @(mark.length - 1)) end
		end
		closed = closed or cancelled > 0
	end
end
`

// writeRun stores the run and the marks, and extends the hash's time to live to needed.
const writeRun = `
local soon = kept < needed + @slack.micros
if soon then kept = needed + @(slack.micros + slack.micros) end
call('HSET', KEYS[1], subject,
	struct.pack('@run[failures ends locked total life kept]', failures, ends, locked, total, life, kept) .. marks)
if soon then
	local life = math.ceil((kept - now) / 1000)
	if call('PEXPIRE', KEYS[1], life, 'NX') == 0 then call('PEXPIRE', KEYS[1], life, 'GT') end
end
`

// sweepRuns ends a script after it added a run. For one subject in 8 it looks at 24
// random runs, and removes the forgotten ones without live marks. So at most half of the
// runs are dead.
const sweepRuns = `
if not run and subject:byte(@record.subject.length) < 32 then
	local some, dead = call('HRANDFIELD', KEYS[1], '24', 'WITHVALUES'), {}
	for i = 1, #some, 2 do
		local value = some[i + 1]
		local last = math.max(read('@run[ends]', value, @run.ends.from), (read('@run[life]', value, @run.life.from)))
		for at = @(run.length + mark.ends.from), #value, @mark.length do
			last = math.max(last, (read('@mark[ends]', value, at)))
		end
		if last + @slack.micros < now then dead[#dead + 1] = some[i] end
	end
	if #dead > 0 then call('HDEL', KEYS[1], unpack(dead)) end
end
`

// replyRecord ends a script. If the call was refused, status says why; again says that
// the call had its effect before. If there is neither, nor a lock, nor a mark that
// cancels, the reply is the record, which begins with 0. Otherwise the reply begins
// with a head, a byte under headEnd: the status, headLocked, headAgain, headCancelled.
// With headLocked the end of the lock follows, 8 bytes. Then comes the record. For the
// Go side see unpack.
const replyRecord = `
local head = (status or 0) + (again and @head.again or 0) + cancelled
if locked == 1 then return struct.pack('>BI8', head + @head.locked, ends) .. c end
return head > 0 and string.char(head) .. c or c
`

// placeRecord stores record under the key id, unless the script returns: there is a live
// challenge of its ID, or the subject is locked. If there is a dead one, before has it, and
// the record is not stored yet.
const placeRecord = `
local now = struct.unpack('@stamp[time]', ARGV[1])
local before = not redis.call('SET', id, record, 'NX', 'PX', life) and redis.call('GET', id)
if before and struct.unpack('@record[expires]', before, @record.expires.from) > now then
	return '\@status.exists' .. before
end
local run = redis.call('HGET', runs, subject)
if run then
	local _, ends, locked = struct.unpack('@run[failures ends locked]', run)
	if locked == 1 and ends > now then
		if not before then redis.call('DEL', id) end
		return struct.pack('>BI8', @(status.locked + head.locked), ends)
	end
end
`

// scriptCreate stores a record, unless there is a live challenge of its ID.
//
//	ARGV[2..4]  subject's field in the hash of runs, record, life in milliseconds
//	returns     a head: done; exists, with the live record; locked, with the lock's
//	            end
var scriptCreate = newJoinedScript(mayFill + `
local runs, id, subject, record, life = KEYS[1], KEYS[2], ARGV[2], ARGV[3], ARGV[4]
` + placeRecord + `
if before then redis.call('SET', id, record, 'PX', life) end
return '\@status.done'
`)

// scriptGet changes nothing.
//
//	returns  the record; expired
var scriptGet = newJoinedScript(reads + loadChallenge + `
local now = read('@stamp[time]', ARGV[1])
` + loadFields + loadRun + readRun + `
local status, again = expires <= now and @status.expired
` + replyRecord)

// scriptAttempt charges the challenge and the subject's run, unless the challenge
// was charged for the token before.
//
//	returns  the record; expired, closed, locked, exhausted
var scriptAttempt = newJoinedScript(mayFill + loadChallenge + `
local now, token = read('@stamp[time name]', ARGV[1])
local tokens, expires, subject, lock, run_life, max_run, max_failures, max_attempts = read(
	'@record[tokens expires subject lock run_life max_run max_failures max_attempts]', c, @record.tokens.from)
` + loadRun + readRun + `
local again = #c > tokens and c:find(token, tokens + 1, true)
while again and (again - tokens) % @token ~= 1 do again = c:find(token, again + 1, true) end
local status = expires <= now and @status.expired or not again and
	(closed and @status.closed or locked == 1 and @status.locked or
	#c - tokens >= max_attempts * @token and @status.exhausted)
if again or status then
	again = again and not status
	` + replyRecord + `
end
call('APPEND', KEYS[2], token)
local forget, over = now + lock, max_run > 0 and now + run_life or now
if forget <= now and over <= now and ends == 0 and life == 0 then return c end
if failures < 4294967295 then failures = failures + 1 end
if total < 4294967295 then total = total + 1 end
if ends < forget then ends = forget end
if life < math.max(over, ends) then life = math.max(over, ends) end
if max_failures > 0 and failures >= max_failures then locked, ends = 1, forget end
if max_run > 0 and total >= max_run then
	locked, ends = 1, math.max(forget, over)
	life = ends
end
if ends <= now then failures, ends, locked = 0, 0, 0 end
if life <= now then total, life = 0, 0 end
if ends == 0 and life == 0 and marks == '' then
	call('HDEL', KEYS[1], subject)
	return c
end
local needed = math.max(ends, life)
` + writeRun + sweepRuns + replyRecord)

// closeRecord closes the challenge, if it is open.
const closeRecord = `
local status, again = expires <= now and @status.expired, false
if not status and closed then
	again = c:sub(@(0 - closing.length)) == closing
	status = not again and @status.closed
end
if not status and not again then call('APPEND', KEYS[2], closing) end
`

// scriptVerify closes the challenge as Verified, which ends the run. There is a short
// way for a subject without marks.
//
//	returns  the record; expired, closed
var scriptVerify = newJoinedScript(anyhow + loadChallenge + `
local now, closing = read('@finish[time closing]', ARGV[1])
` + loadFields + loadRun + `
if now < expires and (#c - tokens) % @token == 0 and (not run or #run == @run.length) then
	call('APPEND', KEYS[2], closing)
	if run then call('HDEL', KEYS[1], subject) end
	return c
end
` + readRun + closeRecord + `
if not status and not again then
	if marks == '' then
		call('HDEL', KEYS[1], subject)
	else
		call('HSET', KEYS[1], subject,
			struct.pack('@run[failures ends locked total life kept]', 0, 0, 0, 0, 0, kept) .. marks)
	end
	locked = 0
end
` + replyRecord)

// scriptCancel closes the challenge as Cancelled.
//
//	returns  the record; expired, closed
var scriptCancel = newJoinedScript(anyhow + loadChallenge + `
local now, closing = read('@finish[time closing]', ARGV[1])
` + loadFields + loadRun + readRun + closeRecord + replyRecord)

// scriptUpdate replaces Delivery.
//
//	ARGV[1..2]  see updateFields, delivery
//	returns     the record; expired, conflict
//
// A call that had its effect before finds another revision, and only then looks for its
// nonce.
var scriptUpdate = newJoinedScript(anyhow + loadChallenge + `
local now, nonce, wanted = read('@update[time name revision]', ARGV[1])
local revision, nonces, tokens, expires, subject = read('@record[revision nonces tokens expires subject]', c)
` + loadRun + readRun + `
local again = revision ~= wanted and c:sub(nonces + 1, tokens):find(nonce, 1, true)
local status = not again and (expires <= now and @status.expired or revision ~= wanted and @status.conflict)
if not again and not status then
	local delivery, recent = read('@record[delivery]', c, @record.delivery.from), nonce
	if nonces < tokens then recent = nonce .. c:sub(nonces + 1, math.min(tokens, nonces + @(nonce + nonce + nonce))) end
	nonces = delivery + #ARGV[2]
	call('SET', KEYS[2], struct.pack('@record[revision nonces tokens]', revision + 1, nonces, nonces + #recent) ..
		c:sub(@record.expires.from, delivery) .. ARGV[2] .. recent .. c:sub(tokens + 1), 'KEEPTTL')
end
` + replyRecord)

// scriptForget ends the subject's run.
//
//	ARGV[1]  subject's field in the hash of runs
//	returns  1
var scriptForget = newJoinedScript(anyhow + `
local call, read = redis.call, struct.unpack
local run = call('HGET', KEYS[1], ARGV[1])
if run and #run == @run.length then
	call('HDEL', KEYS[1], ARGV[1])
elseif run then
	call('HSET', KEYS[1], ARGV[1], struct.pack('@run[failures ends locked total life]', 0, 0, 0, 0, 0) ..
		run:sub(@run.kept.from))
end
return 1
`)

// scriptCancelAll adds a mark to the subject's, or renews the mark of the group.
//
//	ARGV[1..2]  the mark, see markFields; subject's field in the hash of runs
//	returns     1
var scriptCancelAll = newJoinedScript(mayFill + `
local call, read = redis.call, struct.unpack
local group, needed, now = read('@mark[group ends time]', ARGV[1])
local subject, time = ARGV[2], now
local run = call('HGET', KEYS[1], subject)
local failures, ends, locked, total, life, kept, marks = 0, 0, 0, 0, 0, 0, ''
if run then
	failures, ends, locked, total, life, kept = read('@run[failures ends locked total life kept]', run)
	for at = @(run.length + 1), #run, @mark.length do
		local of, over, earlier = read('@mark[group ends time]', run, at)
		if of == group then
			needed, time = math.max(needed, over), math.max(time, earlier)
		elseif over + @slack.micros > now then
			marks = marks .. run:sub(at, at + @(mark.length - 1))
		end
	end
end
marks = marks .. struct.pack('@mark[group ends time]', group, needed, time)
` + writeRun + sweepRuns + `
return 1
`)
