#!lua flags=allow-oom
-- Notes in the head of a session that another one is, or is being, made of it; or takes such a note back.
--
-- ARGV: 1 the token that is in the note and in no other, 2 the note, one line; '' to take it back
--
-- Returns the head's erased ranges, '' if there are none; nothing without a session.
local head, token, new = KEYS[1], unpack(ARGV)
local revision, erased, forks = unpack(redis.call('HMGET', head, 'revision', 'erased', 'forks'))
if not revision then return false end
local notes = {}
for note in string.gmatch(forks or '', '[^\n]+') do
    if not string.find(note, token, 1, true) then notes[#notes + 1] = note end
end
if new ~= '' then notes[#notes + 1] = new end
if #notes > 0 then
    redis.call('HSET', head, 'forks', table.concat(notes, '\n'))
else
    redis.call('HDEL', head, 'forks')
end
return erased or ''
