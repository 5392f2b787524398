namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// How long an agent whose ranks are gone stays for what it has still to tell. After hours without a control plane that is forty beats'
/// worth, and nobody tells it after the last stage's agent: it stays for as long as something gets through.
/// </summary>
/// <param name="Since">When something got through last.</param>
internal sealed record Farewell(DateTimeOffset Since, int Untold)
{
    /// <summary>
    /// A control plane that answers and acknowledges nothing works off what waited for its database: five seconds were seen after three
    /// and a half minutes without one, on a busy machine.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <summary>A call that failed is tried again; one has five seconds (ControlPlaneContact).</summary>
    public static readonly TimeSpan PatienceUnanswered = TimeSpan.FromSeconds(5);

    public static Farewell Begin(int untold, DateTimeOffset now) => new(now, untold);

    public Farewell After(int untold, DateTimeOffset now) => untold < Untold ? Begin(untold, now) : this;

    public bool IsOver(DateTimeOffset now, bool answered) => now - Since >= (answered ? Patience : PatienceUnanswered);
}
