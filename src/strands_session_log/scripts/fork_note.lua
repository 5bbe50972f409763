-- Notes in the head of a session that another one is, or is being, made of it; or takes such a note back.
--
-- KEYS: head
-- ARGV: 1 the token that is in the note and in no other, 2 the note, one line; '' to take it back
--
-- Returns the head's erased ranges, '' if there are none; nothing without a session.
local head = redis.call('HMGET', KEYS[1], 'revision', 'erased', 'forks')
if not head[1] then return false end
local notes = {}
for note in string.gmatch(head[3] or '', '[^\n]+') do
    if not string.find(note, ARGV[1], 1, true) then notes[#notes + 1] = note end
end
if ARGV[2] ~= '' then notes[#notes + 1] = ARGV[2] end
if #notes > 0 then
    redis.call('HSET', KEYS[1], 'forks', table.concat(notes, '\n'))
else
    redis.call('HDEL', KEYS[1], 'forks')
end
return head[2] or ''
