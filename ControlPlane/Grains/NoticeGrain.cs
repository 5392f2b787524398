using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>Remembers what people were told, so that a control plane that begins anew tells nothing twice.</summary>
public interface INoticeGrain : IGrainWithStringKey
{
    const string Key = "notices";

    Task<NoticeBook> Read();

    Task Write(string channel, ChannelBook book);
}

public sealed record NoticeRecord
{
    public NoticeBook Value { get; init; } = new();
}

internal sealed class NoticeGrain([PersistentState("notices")] IPersistentState<NoticeRecord> state) : Grain, INoticeGrain
{
    public Task<NoticeBook> Read() => Task.FromResult(state.State.Value);

    public Task Write(string channel, ChannelBook book)
    {
        var value = state.State.Value;
        state.State = new NoticeRecord { Value = value with { Channels = value.Channels.SetItem(channel, book) } };
        return state.WriteStateAsync();
    }
}
