-- A batch of events as an append takes it.
--
-- ARGV: 1 revision of its first event, 2 base link (of a session whose id was used before, the token of that one's
--       deletion), 3 base id, 4 session id, 5 what is expected of the session: '' for anything, 'absent', 'revision <n>',
--       'agent <moved> <next message index> <agent>' and 'multi_agent <moved> <> <id>', where what is left open is empty,
--       or 'life <when the session began> <what its head says of the one before it>'; 6 what the batch changes of what the
--       head sums up, see lib/summary.lua; then for each event: type agent event time v trace retained salt link body facts
--       moves, which is whose resuming it changes: agent, multi_agent, or nothing; of a message, which changes its agent's,
--       the index
local FIRST, WIDTH, AGENT, EVENT, LINK, MOVES = 7, 12, 1, 2, 8, 11
local ENTRY_LINK = 20
