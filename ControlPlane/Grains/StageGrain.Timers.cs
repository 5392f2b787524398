namespace DeepSeekOps.ControlPlane.Grains;

internal sealed partial class StageGrain
{
    private const string WakeUp = "tick";

    /// <summary>The timer drives; the reminder only wakes the grain after a silo is lost.</summary>
    private async Task KeepTicking()
    {
        if (timer is not null)
        {
            return;
        }

        timer = this.RegisterGrainTimer(Turn, new GrainTimerCreationOptions(TimeSpan.Zero, TimeSpan.FromSeconds(1)) { KeepAlive = true });
        await this.RegisterOrUpdateReminder(WakeUp, TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1));
    }

    private async Task StopTicking()
    {
        timer?.Dispose();
        timer = null;
        if (await this.GetReminder(WakeUp) is { } reminder)
        {
            await this.UnregisterReminder(reminder);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Stage} is {Phase}: {Reason}")]
    private partial void LogReason(Decisions.StageId stage, string phase, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Stage}, incident {Number}: {Sentence}")]
    private partial void LogIncident(Decisions.StageId stage, int number, string sentence);

    [LoggerMessage(Level = LogLevel.Error, Message = "The tick of {Stage} did not end; the next one goes on")]
    private partial void LogTickFailed(Exception failed, Decisions.StageId stage);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The cluster could not be asked about {Stage}")]
    private partial void LogClusterUnknown(Exception failed, Decisions.StageId stage);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Stage} was written elsewhere; it is read again")]
    private partial void LogConflict(Exception conflict, Decisions.StageId stage);
}
