-- Tells every instance what its cache of keys must forget (contract K13). Triggers
-- rather than statements of the program: what an operator changes by hand is told too.
CREATE FUNCTION tell_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    -- What the change is of: the words that the program reads.
    kind text := TG_ARGV[0];
    id_column text := TG_ARGV[1];
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        PERFORM pg_notify('remotegpu_key_changes', kind || ' ' || (to_jsonb(OLD) ->> id_column));
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        PERFORM pg_notify('remotegpu_key_changes', kind || ' ' || (to_jsonb(NEW) ->> id_column));
    END IF;
    RETURN NULL;
END
$$;

-- Not last_used_at: it decides nothing, and is written all the time.
CREATE TRIGGER api_keys_change
    AFTER DELETE OR UPDATE OF id, account_id, name, prefix, scopes, created_at, created_by, expires_at, revoked_at
    ON api_keys FOR EACH ROW EXECUTE FUNCTION tell_key_change('key', 'id');
-- Not INSERT: nobody remembers that a key was unknown.
CREATE TRIGGER key_secrets_change
    AFTER DELETE OR UPDATE ON key_secrets
    FOR EACH ROW EXECUTE FUNCTION tell_key_change('key', 'key_id');
CREATE TRIGGER accounts_change
    AFTER DELETE OR UPDATE OF id, suspended_at ON accounts
    FOR EACH ROW EXECUTE FUNCTION tell_key_change('account', 'id');
CREATE TRIGGER memberships_change
    AFTER INSERT OR DELETE OR UPDATE ON memberships
    FOR EACH ROW EXECUTE FUNCTION tell_key_change('maker', 'user_id');
