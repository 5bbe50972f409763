-- Notes whom a session is about: appends the event that says so, and notes it in the head and in the partition's index.
-- Both happen, or neither.
-- uses: lib/append, lib/batch, lib/subjects
--
-- KEYS: as lib/append.lua for a batch that begins a session, though this one never does; subjects (one slot)
-- ARGV: what lib/append.lua takes for one event; the session whose key it is encrypted with, '' for none; and last whom, as lib/subjects.lua has it
--
-- Returns what an append does; {'gone'} without a session.
local added, root = table.remove(ARGV), table.remove(ARGV)
if root == '' then root = nil end
local events, head, session, subjects = KEYS[1], KEYS[2], ARGV[4], KEYS[7]
local revision, known = unpack(redis.call('HMGET', head, 'revision', 'subjects'))
if not revision then return { 'gone' } end

-- What should be an index and is none fails here, before anything is written.
redis.call('ZCARD', subjects)
local was_there = landed(events)
local answer = append(nil, root)
-- What landed before was noted then, and may have been erased since.
if type(answer) ~= 'string' or was_there then return answer end
redis.call('ZADD', subjects, 0, subject_line(added, session))
redis.call('HSET', head, 'subjects', with_subject(known, added, true))
return answer
