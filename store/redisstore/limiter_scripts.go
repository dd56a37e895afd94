package redisstore

// A window is the log of a limit's takings, one string:
//
//	cells, in the order of their times: time; number of takings up to its end
//	number of takings before the first cell; number of cells, see lastFields
//	nonces of the latest calls, the latest first, up to 8; their number, 1 byte
//
// The time of a cell is that of its takings, or up to a step later: all count as if
// they were at its time, so that none is forgotten early. Of a limit that is exact the
// step is 0. As cells hold sums, the taking that decides, so many before the latest, is
// found by bisection, and mostly there is none to be found: all that are logged would
// be allowed together. A window has a taking at least: if the last is given back, its
// key goes. A cell is kept for Per, and for the clocks' differences, see spanFields.
//
// All that a taking changes is at the end, so that it mostly writes a hundred bytes
// in place. The server spends its time in calls of Redis, each as much as ten calls of
// struct.unpack, and new strings, 11 instructions a byte.
//
// Version: see recordLayout. A release that changes this format changes the "w" of
// the key; there is no codec in Go.
//
// The scripts have the same KEYS and ARGV:
//
//	KEYS     the windows of the limits, each once
//	ARGV[1]  the time of the taking, and the call's nonce, see stampFields
//	ARGV[2]  the limits, see limitFields
//	ARGV[3]  of each key, see spanFields
//	ARGV[4..]  of each key: for how long it lives, in milliseconds; scriptTake only

// limiterPreamble begins the scripts. A log's nonces begin at #log - 8 * log:byte(-1).
// Before them are the fields of lastFields.
const limiterPreamble = `
local call, read, pack = redis.call, struct.unpack, struct.pack
local now, nonce = read('@stamp[time name]', ARGV[1])
local logs = call('MGET', unpack(KEYS))
`

// nonces is the end of a log after the call: the nonces, and their number. It
// needs log, count, which is how many log has, and at, where they begin.
const nonces = `nonce .. log:sub(at, at + (count < @most_nonces and count or @(most_nonces - 1)) * @nonce - 1) ..
	(count < @most_nonces and string.char(count + 1) or '\@most_nonces')`

// scriptTake takes from all limits or none. So if one window knows the call, the call
// has taken.
//
//	returns    how long the call has to wait for each limit, 8 bytes each; an empty
//	           string if it has taken from all
//
// A taking may come after a later taking: the clocks of processes differ, and calls
// overtake one another. It goes where it belongs, so that Give finds it.
//
// Of each window, state has the lastFields up to the nonces, and taken how many
// takings the call adds. Tables are made in the length that most calls need: to grow
// one costs more than a call of Redis. For the same reason numbers that go to Redis
// are strings.
var scriptTake = newScript(mayFill + limiterPreamble + `
local again, refused, waits = false, false, false
local taken = {0, 0, 0, 0, 0, 0, 0, 0}
local state = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
for k = 1, #logs do
	local log = logs[k]
	taken[k] = 0
	if log then
		local at = #log - @nonce * log:byte(-1)
		state[4 * k - 3], state[4 * k - 2], state[4 * k - 1], state[4 * k] =
			read('@last[time sum before cells]', log, at - @last.nonce.at)
		again = again or log:find(nonce, at, true)
	end
end
local limits = ARGV[2]
local number = #limits / @limit.length
for i = 1, number do
	local most, n, which = read('@limit[most number key]', limits, @limit.length * i - @(limit.length - 1))
	local flags, w = which % 4, 0
	local k = (which - flags) / 4
	local log, also = logs[k], taken[k] + n
	if not again or flags % 2 == 1 and not (log and log:find(nonce, #log - @nonce * log:byte(-1), true)) then
		if also > most then
			w = read('@span[per]', ARGV[3], @span.length * k - @(span.length - 1))
		elseif log and state[4 * k - 2] + also - most > state[4 * k - 1] then
			local low, high, j = 1, state[4 * k], state[4 * k - 2] + also - most
			while low < high do
				local middle = math.floor((low + high) / 2)
				if read('@cell[sum]', log, @cell.length * middle - @(cell.sum.length - 1)) >= j then
					high = middle
				else
					low = middle + 1
				end
			end
			local per = read('@span[per]', ARGV[3], @span.length * k - @(span.length - 1))
			w = read('@cell[time]', log, @cell.length * low - @(cell.length - 1)) - now + per
		end
	end
	if w > 0 then
		waits = waits or {}
		waits[i] = w
		refused = refused or flags % 2 == 0
	elseif flags < @limit_peek then
		taken[k] = also
	end
end
for k = 1, (again or refused) and 0 or #logs do
	local n = taken[k]
	if n > 0 then
		local step, keep = read('@span[step keep]', ARGV[3], @span.length * k - @(span.length - span.step.at - 1))
		local key, log, life = KEYS[k], logs[k], ARGV[3 + k]
		if not log then
			call('SET', key, pack('@last[time sum before cells nonce]B', now + step, n, 0, 1, nonce, 1), 'PX', life)
		else
			local last, total, before, number = state[4 * k - 3], state[4 * k - 2] + n, state[4 * k - 1], state[4 * k]
			local count = log:byte(-1)
			local at = #log - @nonce * count
			if last >= now and last <= now + step then
				call('SETRANGE', key, number == 1 and '0' or string.format('%d', @cell.length * (number - 1)),
					pack('@last[time sum before cells]', last, total, before, number) .. ` + nonces + `)
			elseif last < now then
				local old, since = 0, now - keep
				while old < number and read('@cell[time]', log, @cell.length * old + 1) <= since do
					old = old + 1
				end
				if old > 0 then before = read('@cell[sum]', log, @cell.length * old - @(cell.sum.length - 1)) end
				call('SET', key, log:sub(@cell.length * old + 1, @cell.length * number) ..
					pack('@last[time sum before cells]', now + step, total, before, number - old + 1) .. ` + nonces + `,
					'PX', life)
			else
				local i, parts = number, {}
				while i > 0 and read('@cell[time]', log, @cell.length * i - @(cell.length - 1)) >= now do i = i - 1 end
				parts[1] = log:sub(1, @cell.length * i)
				if read('@cell[time]', log, @cell.length * i + 1) > now + step then
					local sum = i > 0 and read('@cell[sum]', log, @cell.length * i - @(cell.sum.length - 1)) or before
					parts[2] = pack('@cell[time sum]', now + step, sum + n)
				end
				local more = #parts - 1
				for c = i + 1, number do
					local time, sum = read('@cell[time sum]', log, @cell.length * c - @(cell.length - 1))
					parts[#parts + 1] = pack('@cell[time sum]', time, sum + n)
				end
				parts[#parts + 1] = pack('@last[before cells]', before, number + more) .. ` + nonces + `
				call('SET', key, table.concat(parts), 'KEEPTTL')
			end
		end
	end
end
if not waits then return '' end
for i = 1, number do waits[i] = pack('>I8', waits[i] or 0) end
return table.concat(waits)
`)

// scriptGive gives back, to each limit, takings that were made at a time: of the
// first cell that may hold them, so the takings themselves if the limit is exact. If
// the time is 0, it gives back the latest.
//
//	returns    0
//
// give returns the log with cells up to i, of which cell i has the sum, and by takings
// less in those that follow.
var scriptGive = newScript(anyhow + limiterPreamble + `
for _, log in ipairs(logs) do
	if log and log:find(nonce, #log - @nonce * log:byte(-1), true) then return 0 end
end
local function sumOf(log, i) return (read('@cell[sum]', log, @cell.length * i - @(cell.sum.length - 1))) end
local function timeOf(log, i) return (read('@cell[time]', log, @cell.length * i - @(cell.length - 1))) end
local function give(log, at, before, number, i, sum, by)
	local parts, kept = {log:sub(1, @cell.length * (i - 1))}, number
	if sum > (i > 1 and sumOf(log, i - 1) or before) then
		parts[2] = pack('@cell[time sum]', timeOf(log, i), sum)
	else
		kept = kept - 1
	end
	if by == 0 then kept = kept - number + i end
	for c = i + 1, by == 0 and i or number do
		parts[#parts + 1] = pack('@cell[time sum]', timeOf(log, c), sumOf(log, c) - by)
	end
	if kept == 0 then return false end
	local count = log:byte(-1)
	if log:find(nonce, at, true) then
		parts[#parts + 1] = pack('@last[before cells]', before, kept) .. log:sub(at)
	else
		parts[#parts + 1] = pack('@last[before cells]', before, kept) .. ` + nonces + `
	end
	return table.concat(parts)
end
local from = 1
while from <= #ARGV[2] do
	local number, which
	number, which, from = read('@limit[number key]', ARGV[2], from + @limit.number.at)
	local flags = which % 4
	local k = (which - flags) / 4
	local log, given = logs[k], nil
	if log and flags < @limit_peek then
		local at = #log - @nonce * log:byte(-1)
		local _, total, before, cells = read('@last[time sum before cells]', log, at - @last.nonce.at)
		local i = cells
		if now == 0 then
			while i > 0 and sumOf(log, i) >= total - number do i = i - 1 end
			i = i + 1
			given = give(log, at, before, cells, i, math.max(total - number, before), 0)
		else
			local _, step = read('@span[per step]', ARGV[3], @span.length * k - @(span.length - 1))
			while i > 0 and timeOf(log, i) >= now do i = i - 1 end
			i = i + 1
			if i <= cells and timeOf(log, i) <= now + step then
				local sum = sumOf(log, i)
				local by = math.min(number, sum - (i > 1 and sumOf(log, i - 1) or before))
				given = give(log, at, before, cells, i, sum - by, by)
			end
		end
		if given == false then
			call('DEL', KEYS[k])
		elseif given then
			call('SET', KEYS[k], given, 'KEEPTTL')
		end
		if given ~= nil then logs[k] = given end
	end
end
return 0
`)
