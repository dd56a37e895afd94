package redisstore

// The windows of one thing, see countedLimits, are one string:
//
//	number of windows, and a sign of them, see headFields
//	of each window, its last cell, see lastFields
//	nonces of the latest calls, the latest first: 8, zeros if there are fewer
//	of each window, the rest, see windowFields
//	of each window, the cells before the last, in the order of their times: time;
//	    number of takings up to its end; see cellFields
//
// The time of a cell is that of its takings, or up to a step later: all count as if
// they were at its time, so that none is forgotten early. Of a limit that is exact the
// step is 0. As cells hold sums, the taking that decides, so many before the latest, is
// found by bisection, and mostly there is none to be found: all that are held would
// be allowed together. A window without takings has no cells; if no window of a string
// has any, the string goes. A cell is kept for Per, and for the clocks' differences,
// see spanFields.
//
// A taking mostly changes the beginning in place, and reads no more than that. The
// server spends its time in calls of Redis, 5,000 instructions each, in numbers of
// struct.unpack, 400 each, and in KEYS and ARGV, 1,500 each.
//
// Version: see recordLayout. A release that changes this format changes the "w" of
// the key; there is no codec in Go.
//
// The scripts have the same KEYS and ARGV:
//
//	KEYS     the strings, each once
//	ARGV[1]  the time of the taking, and the call's nonce, see stampFields; of each
//	         key keyFields, and of each of its windows roomFields
//	ARGV[2]  number of windows, 2 bytes; of each spanFields; the limits, see limitFields
//	ARGV[3..]  of each key: the string after the call if there was none, empty if the
//	         call takes nothing

// newNonces are the nonces of a string after the call. It needs log, and from, where
// its nonces begin.
const newNonces = `nonce .. log:sub(from, from + @(nonces - nonce - 1))`

// windowsOf reads the strings whole, for calls that need more than the beginnings. Of
// each string, strings has the list of its windows and, as named, of those that the call
// names. These are in windows, too, each with its spanFields, the number of takings
// before its first cell, its sum, all its cells, and whether its string knows the call.
// save writes a string, which lives for as long as before, or for life if that is longer.
const windowsOf = `
local strings, windows = {}, {}
for k = 1, #KEYS do
	local log, list = call('GET', KEYS[k]), {}
	local number = log and log:byte(1) or 0
	local from = @(head.length + 1) + @last.length * number
	local at = from + @nonces
	local first = at + @window.length * number
	for i = 1, number do
		local time, held, step = read('@last[time held step]', log, @(head.length + 1) + @last.length * (i - 1))
		local tag, before, cells = read('@window[tag before cells]', log, at)
		local own = log:sub(first, first + @cell.length * cells - 1)
		if held > 0 then own = own .. pack('@cell[time sum]', time, before + held) end
		list[i] = {tag = tag, before = before, sum = before + held, stored = step, cells = own, takes = 0}
		at, first = at + @window.length, first + @cell.length * cells
	end
	strings[k] = {log = log, from = from, knows = log and log:find(nonce, from, true), list = list, named = {},
		sign = log and log:sub(@head.sign.from, @head.sign.to)}
end
local limits = 3 + @span.length * read('>I2', ARGV[2])
for i = 3, limits - 1, @span.length do
	local k, tag, step, keep, per = read('@span[key tag step keep per]', ARGV[2], i)
	local s, w = strings[k], {tag = tag, before = 0, sum = 0, cells = '', takes = 0}
	for j = 1, #s.list do
		if s.list[j].tag == tag then w = s.list[j] end
	end
	w.string, w.step, w.keep, w.per = s, step, keep, per
	s.life = math.max(s.life or 0, math.floor((per + step) / 1000) + @(slack.millis + 1))
	s.named[#s.named + 1], windows[#windows + 1] = w, w
end
local function timeOf(w, i) return (read('@cell[time]', w.cells, @cell.length * i - @(cell.length - 1))) end
local function sumOf(w, i)
	return i == 0 and w.before or (read('@cell[sum]', w.cells, @cell.length * i - @(cell.sum.length - 1)))
end
local function save(k, life)
	local s = strings[k]
	local log, from, number, held = s.log, s.from, #s.list, false
	local parts = {string.char(number) .. s.sign}
	for i, w in ipairs(s.list) do
		local cells, time = #w.cells / @cell.length, 0
		if cells > 0 then held, time = true, timeOf(w, cells) end
		parts[1 + i] = pack('@last[time held step]', time, w.sum - w.before, w.stored)
		parts[2 + number + i] = pack('@window[tag before cells]', w.tag, w.before, math.max(cells - 1, 0))
		parts[2 + 2 * number + i] = w.cells:sub(1, -@(cell.length + 1))
	end
	parts[2 + number] = log and ` + newNonces + ` or nonce .. string.rep('\0', @(nonces - nonce))
	if not held then
		call('DEL', KEYS[k])
	elseif life then
		call('SET', KEYS[k], table.concat(parts), 'PX', string.format('%d', math.max(life, call('PTTL', KEYS[k]))))
	else
		call('SET', KEYS[k], table.concat(parts), 'KEEPTTL')
	end
end
`

// scriptTake takes from all limits or none. So if one string knows the call, the call
// has taken.
//
//	returns    how long the call has to wait for each limit, 8 bytes each; an empty
//	           string if it has taken from all
//
// A taking may come after a later taking: the clocks of processes differ, and calls
// overtake one another. It goes where it belongs, so that Give finds it.
//
// Mostly the strings have the windows that the call names, each window has room for all
// its limits, and no taking is late. Then the first loop makes the strings, the second
// writes them, and no limit is looked at. Of each key, made has the string, or its
// beginning, and if it is whole, its life. Any other call goes the long way, takeAny. A
// table costs as much as three numbers of struct.unpack, and to grow one as much as a call
// of Redis. Numbers that go to Redis are strings.
var scriptTake = newJoinedScript(mayFill + `
local call, read, pack = redis.call, struct.unpack, struct.pack
local now, nonce, p = read('@stamp[time name]', ARGV[1])
local made = {false, false, false, false, false, false, false, false}
local plain, span = true, @(span.keep.at + 3)
for k = 1, #KEYS do
	local head, number, life
	head, number, life, p = read('@key[head number life]', ARGV[1], p)
	local log = call('GETRANGE', KEYS[k], '0', '@(beginning - 1)')
	local at = @(head.length + 1)
	local from = at + @last.length * number
	if log == '' then
		for i = 1, number do
			local n, room
			n, room, p = read('@room[take room]', ARGV[1], p)
			if room == 0 then plain = false end
		end
		made[2 * k - 1], made[2 * k] = ARGV[2 + k], life
	elseif read('>@key.head.format', log) ~= head or number > @most_windows or log:find(nonce, from, true) then
		plain = false
	else
		local lasts, takes, rest, cells, format = '', false, false, '', '@window[tag before cells]'
		for i = 1, number do
			local n, room, time, held, step
			n, room, p = read('@room[take room]', ARGV[1], p)
			time, held, step, at = read('@last[time held step]', log, at)
			if held >= room or held > 0 and time > now + step then plain = false break end
			if n > 0 then
				takes = true
				if time < now or held == 0 then
					if not rest then
						if #log == @beginning then log = call('GET', KEYS[k]) end
						if number > 1 then format = '>' .. string.rep(format:sub(2), number) end
						rest = {read(format, log, from + @nonces)}
						cells = log:sub(from + @nonces + @window.length * number)
					end
					local first, before, own = 0, rest[3 * i - 1], rest[3 * i]
					for j = 3, 3 * i - 3, 3 do first = first + @cell.length * rest[j] end
					local since, old, ended = now - read('@span[keep]', ARGV[2], span + @span.length * (i - 1)), 0, ''
					if held == 0 or time <= since then
						before, held, old = before + held, 0, own
					else
						while old < own and read('@cell[time]', cells, first + @cell.length * old + 1) <= since do
							old = old + 1
						end
						if old > 0 then
							local sum = read('@cell[sum]', cells, first + @cell.length * old - @(cell.sum.length - 1))
							before, held = sum, held - (sum - before)
						end
						ended = pack('@cell[time sum]', time, before + held)
					end
					cells = cells:sub(1, first) ..
						cells:sub(first + @cell.length * old + 1, first + @cell.length * own) .. ended ..
						cells:sub(first + @cell.length * own + 1)
					rest[3 * i - 1], rest[3 * i] = before, own - old + #ended / @cell.length
					time = now + step
				end
				held = held + n
			end
			lasts = lasts .. pack('@last[time held step]', time, held, step)
		end
		if rest then
			made[2 * k - 1] = log:sub(1, @head.length) .. lasts .. ` + newNonces + ` ..
				pack(format, unpack(rest, 1, 3 * number)) .. cells
			made[2 * k] = life
		elseif takes then
			made[2 * k - 1] = lasts .. ` + newNonces + `
		end
	end
	if not plain then break end
	span = span + @span.length * number
end
if plain then
	for k = 1, #KEYS do
		local value, life = made[2 * k - 1], made[2 * k]
		if value and life then
			if value ~= '' then call('SET', KEYS[k], value, 'PX', string.format('%d', life)) end
		elseif value then
			call('SETRANGE', KEYS[k], '@head.length', value)
		end
	end
	return ''
end
` + windowsOf + takeAny)

// takeAny takes from any limits.
const takeAny = `
local again, refused, waits = false, false, false
for k = 1, #KEYS do again = again or strings[k].knows end
local number = (#ARGV[2] + 1 - limits) / @limit.length
for i = 1, number do
	local most, n, which = read('@limit[most number window]', ARGV[2], limits + @limit.length * (i - 1))
	local flags, wait = which % 4, 0
	local w = windows[(which - flags) / 4]
	local also = w.takes + n
	if not again or flags % 2 == 1 and not w.string.knows then
		if also > most then
			wait = w.per
		elseif w.sum + also - most > w.before then
			local low, high, j = 1, #w.cells / @cell.length, w.sum + also - most
			while low < high do
				local middle = math.floor((low + high) / 2)
				if sumOf(w, middle) >= j then high = middle else low = middle + 1 end
			end
			wait = timeOf(w, low) - now + w.per
		end
	end
	if wait > 0 then
		waits = waits or {}
		waits[i] = wait
		refused = refused or flags % 2 == 0
	elseif flags < @limit_peek then
		w.takes = also
	end
end
for k = 1, (again or refused) and 0 or #KEYS do
	local s, takes, life = strings[k], false, nil
	for _, w in ipairs(s.named) do
		local n, cells = w.takes, #w.cells / @cell.length
		if n > 0 then
			takes, w.sum = true, w.sum + n
			local last = cells > 0 and timeOf(w, cells)
			if last and last >= now and last <= now + w.step then
				w.cells = w.cells:sub(1, -@(cell.length + 1)) .. pack('@cell[time sum]', last, w.sum)
			elseif not last or last < now then
				local old = 0
				while old < cells and timeOf(w, old + 1) <= now - w.keep do old = old + 1 end
				w.before = sumOf(w, old)
				w.cells = w.cells:sub(@cell.length * old + 1) .. pack('@cell[time sum]', now + w.step, w.sum)
				life = s.life
			else
				local i = cells
				while i > 0 and timeOf(w, i) >= now do i = i - 1 end
				local parts = {w.cells:sub(1, @cell.length * i)}
				if timeOf(w, i + 1) > now + w.step then
					parts[2] = pack('@cell[time sum]', now + w.step, sumOf(w, i) + n)
				end
				for c = i + 1, cells do
					parts[#parts + 1] = pack('@cell[time sum]', timeOf(w, c), sumOf(w, c) + n)
				end
				w.cells = table.concat(parts)
			end
		end
	end
	if takes then
		local same = true
		for i, w in ipairs(s.named) do
			if not w.stored then s.list[#s.list + 1] = w end
			w.stored, same = w.step, same and s.list[i] == w
		end
		s.sign = same and #s.list == #s.named and ARGV[2 + k]:sub(@head.sign.from, @head.sign.to) or '\0\0\0\0'
		save(k, life)
	end
end
if not waits then return '' end
for i = 1, number do waits[i] = pack('>I8', waits[i] or 0) end
return table.concat(waits)
`

// scriptGive gives back, to each limit, takings that were made at a time: of the
// first cell that may hold them, so the takings themselves if the limit is exact. If
// the time is 0, it gives back the latest.
//
//	returns    0
var scriptGive = newJoinedScript(anyhow + `
local call, read, pack = redis.call, struct.unpack, struct.pack
local now, nonce = read('@stamp[time name]', ARGV[1])
` + windowsOf + `
for k = 1, #KEYS do
	if strings[k].knows then return 0 end
end
for i = limits, #ARGV[2], @limit.length do
	local number, which = read('@limit[number window]', ARGV[2], i + @limit.number.at)
	local flags = which % 4
	local w = windows[(which - flags) / 4]
	local cells = #w.cells / @cell.length
	local c = cells
	if cells > 0 and flags < @limit_peek and now == 0 then
		local left = math.max(w.sum - number, w.before)
		while c > 1 and sumOf(w, c - 1) >= left do c = c - 1 end
		local kept = left > sumOf(w, c - 1) and pack('@cell[time sum]', timeOf(w, c), left) or ''
		w.cells, w.sum = w.cells:sub(1, @cell.length * (c - 1)) .. kept, left
		w.string.changed = true
	elseif cells > 0 and flags < @limit_peek then
		while c > 0 and timeOf(w, c) >= now do c = c - 1 end
		c = c + 1
		if c <= cells and timeOf(w, c) <= now + w.step then
			local sum, former = sumOf(w, c), sumOf(w, c - 1)
			local by = math.min(number, sum - former)
			local parts = {w.cells:sub(1, @cell.length * (c - 1))}
			if sum - by > former then parts[2] = pack('@cell[time sum]', timeOf(w, c), sum - by) end
			for j = c + 1, cells do
				parts[#parts + 1] = pack('@cell[time sum]', timeOf(w, j), sumOf(w, j) - by)
			end
			w.cells, w.sum = table.concat(parts), w.sum - by
			w.string.changed = true
		end
	end
end
for k = 1, #KEYS do
	if strings[k].changed then save(k) end
end
return 0
`)
