using DeepSeekOps.Decisions.Planning;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>A stage that lost nodes and has not had all that it asks for since.</summary>
/// <param name="Layout">What its gang is laid out as, or the next one. Null: it asks for all of its nodes again.</param>
/// <param name="Since">When it lost them.</param>
/// <param name="Return">How long it was expected to be without them.</param>
/// <param name="ReturnBasis">Who said so.</param>
public sealed record ShrunkGang(ShrunkLayout? Layout, DateTimeOffset Since, TimeSpan Return, string ReturnBasis)
{
    /// <summary>Who stayed has in memory what its ranks need in this layout, so that no checkpoint need be read.</summary>
    public bool StatesFit { get; init; }

    /// <summary>Since when there has been room for all of it. Null: there is none.</summary>
    public DateTimeOffset? RoomSince { get; init; }
}
