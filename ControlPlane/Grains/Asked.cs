using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.Decisions.Audit;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// What the call that is being answered was made for, as the door wrote it down. It travels beside the arguments, so that a grain can
/// put it into the audit log together with what it changes.
/// </summary>
public static class Asked
{
    private const string Key = "dsops.act";

    public static void For(AuditAct act) => RequestContext.Set(Key, JsonSerializer.Serialize(act));

    public static void ForNothing() => RequestContext.Remove(Key);

    /// <summary>Empty: nobody said, such as a test or the system itself.</summary>
    public static ImmutableArray<AuditAct> Acts => RequestContext.Get(Key) is string act
        && JsonSerializer.Deserialize<AuditAct>(act) is { } read ? [read] : [];
}
