-- The lease of a run of a session, and the signal that it is to stop. It stands in a key of its own, which expires with it.
--
-- ARGV: 1 what is to be done: acquire, renew, release, stop; 2 the run; to stop, '' for any; 3 the token of who holds the
--       lease; 4 for how many ms it is held, from now on
--
-- Returns {outcome, run, stop}: done, held (by another), lost, or none (to stop); which run holds the lease; and '1' if
-- that is to stop.
local call = redis.call
local key = KEYS[1]
local action, run, token, ms = unpack(ARGV)
local held, owner, stop = unpack(call('HMGET', key, 'run', 'token', 'stop'))
held, stop = held or '', stop or ''

if action == 'acquire' then
    if owner and owner ~= token then return { 'held', held, stop } end
    call('HSET', key, 'run', run, 'token', token)
    call('PEXPIRE', key, ms)
    return { 'done', run, stop }
end
if action == 'stop' then
    if not owner or (run ~= '' and run ~= held) then return { 'none', held, stop } end
    call('HSET', key, 'stop', '1')
    return { 'done', held, '1' }
end
if owner ~= token then return { 'lost', held, '' } end
if action == 'renew' then call('PEXPIRE', key, ms) else call('UNLINK', key) end
return { 'done', held, stop }
