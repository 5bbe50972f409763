-- Which of several appends, each for a position of its own, has landed; and where the session stands, as seen at the same
-- moment: whoever goes on from there knows that none of the others is in that history.
-- uses: lib/batch
--
-- ARGV: of each call the base id, how many events it has, and its last link
--
-- Returns 'landed <link> <first id>' or {'moved', id, link, whose key its content is encrypted with, '' if it is not}.
local events, head = unpack(KEYS)
for at = 1, #ARGV, 3 do
    local base, count, link = unpack(ARGV, at, at + 2)
    local answer = landed(events, base, tonumber(count), link)
    if answer then
        write_for_waiting(head, redis.call('HGET', head, 'revision'))
        return answer
    end
end
local known = redis.call('HMGET', head, 'ms', 'revision', 'link', 'sealed')
return { 'moved', (known[1] or 0) .. '-' .. (known[2] or 0), known[3] or '', known[4] or '' }
