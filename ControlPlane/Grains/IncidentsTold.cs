using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// Which of a stage's incidents the ledger has as they are: the newest, and the one before it, whose end it may not have heard of when the
/// next one began. In memory: after a start both are told once more.
/// </summary>
internal sealed class IncidentsTold
{
    private Incident? newest;
    private Incident? before;

    public bool Lacks(Stage stage) =>
        !ReferenceEquals(stage.NewestIncident, newest) || !ReferenceEquals(stage.IncidentBefore, before);

    public async Task Tell(Stage stage, Ledger ledger, CancellationToken cancellation)
    {
        if (stage.IncidentBefore is { } ended && !ReferenceEquals(ended, before))
        {
            await ledger.RecordIncident(ended, cancellation);
            before = ended;
        }

        if (stage.NewestIncident is { } incident && !ReferenceEquals(incident, newest))
        {
            await ledger.RecordIncident(incident, cancellation);
            newest = incident;
        }
    }
}
